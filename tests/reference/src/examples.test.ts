// Every TypeScript example of the documents compiles as a user's program would.
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const DOCS = join(HERE, "../../docs");
const DIRECTORY = join(HERE, "reports/examples");

/** By file name: the document and the place of the example in it. */
async function examples(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const page of (await readdir(DOCS)).filter((name) => name.endsWith(".md"))) {
    const text = await readFile(join(DOCS, page), "utf8");
    [...text.matchAll(/```ts\n([\s\S]*?)```/g)].forEach(([, code = ""], at) => {
      found.set(`${page.replace(/\.md$/, "")}-${at + 1}.ts`, code);
    });
  }
  return found;
}

afterAll(() => rm(DIRECTORY, { recursive: true, force: true }));

it("compiles", { timeout: 120_000 }, async () => {
  await mkdir(DIRECTORY, { recursive: true });
  const found = await examples();
  expect(found.size).toBeGreaterThan(3);
  for (const [name, code] of found) await writeFile(join(DIRECTORY, name), code);
  const config = { extends: "../../tsconfig.json", compilerOptions: { noEmit: true }, include: ["*.ts"] };
  await writeFile(join(DIRECTORY, "tsconfig.json"), JSON.stringify(config));
  execFileSync(join(HERE, "node_modules/.bin/tsc"), ["-p", DIRECTORY], { stdio: "inherit" });
});
