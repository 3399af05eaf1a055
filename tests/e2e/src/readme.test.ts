// The README's examples compile as a user's programs would, and do what they say.
import { execFileSync } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const DIRECTORY = join(HERE, "reports/readme");
const [FIRST, REACH] = ["example.ts", "reach.ts"].map((name) => join(DIRECTORY, name)) as [string, string];

beforeAll(async () => {
  const readme = await readFile(join(HERE, "../../README.md"), "utf8");
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
  expect(examples).toHaveLength(2);
  await mkdir(DIRECTORY, { recursive: true });
  for (const [index, file] of [FIRST, REACH].entries()) {
    expect(examples[index]?.trim().split("\n").length).toBeLessThanOrEqual(20);
    await writeFile(file, examples[index] ?? "");
  }
  const config = { extends: "../../tsconfig.json", compilerOptions: { noEmit: true }, include: ["*.ts"] };
  await writeFile(join(DIRECTORY, "tsconfig.json"), JSON.stringify(config));
});
afterAll(() => rm(DIRECTORY, { recursive: true, force: true }));

async function run(file: string): Promise<string> {
  const { token } = await newWorkspace("readme");
  const env = { ...process.env, SALLYPORT_API_URL: inject("apiUrl"), SALLYPORT_TOKEN: token };
  return execFileSync(process.execPath, ["--conditions=@sallyport/source", file], { env, encoding: "utf8" });
}

describe("the README's examples", () => {
  it("compile", () => {
    execFileSync(join(HERE, "node_modules/.bin/tsc"), ["-p", DIRECTORY], { stdio: "pipe", encoding: "utf8" });
  });

  it("run programs", async () => {
    const printed = await run(FIRST);
    expect(printed).toMatch(/^hello\n#1 SMP/);
    expect(printed).toContain("line 0\nline 1\nline 2\n0\n");
  });

  it("reach a sandbox", async () => {
    const printed = await run(REACH);
    expect(printed).toMatch(/^200 SimpleHTTP\//);
    expect(printed).toMatch(/ConnectToken \{"id":"ct-/);
  });
});
