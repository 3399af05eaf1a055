// The README's example compiles as a user's program would, and does what it says.
import { execFileSync } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const DIRECTORY = join(HERE, "reports/readme");
const FILE = join(DIRECTORY, "example.ts");

beforeAll(async () => {
  const readme = await readFile(join(HERE, "../../README.md"), "utf8");
  const [, code] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  if (code === undefined) throw new Error("the README has no TypeScript example");
  expect(code.trim().split("\n").length).toBeLessThanOrEqual(20);
  await mkdir(DIRECTORY, { recursive: true });
  await writeFile(FILE, code);
  const config = { extends: "../../tsconfig.json", compilerOptions: { noEmit: true }, include: ["example.ts"] };
  await writeFile(join(DIRECTORY, "tsconfig.json"), JSON.stringify(config));
});
afterAll(() => rm(DIRECTORY, { recursive: true, force: true }));

describe("the README's example", () => {
  it("compiles", () => {
    execFileSync(join(HERE, "node_modules/.bin/tsc"), ["-p", DIRECTORY], { stdio: "pipe", encoding: "utf8" });
  });

  it("runs", async () => {
    const { token } = await newWorkspace("readme");
    const env = { ...process.env, SALLYPORT_API_URL: inject("apiUrl"), SALLYPORT_TOKEN: token };
    const printed = execFileSync(process.execPath, ["--conditions=@sallyport/source", FILE], { env, encoding: "utf8" });
    expect(printed).toMatch(/^hello\n#1 SMP/);
    expect(printed).toContain("line 0\nline 1\nline 2\n0\n");
  });
});
