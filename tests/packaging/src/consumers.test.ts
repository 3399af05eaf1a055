// Programs of users, compiled against the published types by every TypeScript that is supported.
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, inject, it } from "vitest";
import { sourceFolder } from "./manifest.ts";

const run = promisify(execFile);
const { project } = inject("installed");
const require = createRequire(import.meta.url);
const CONSUMERS = join(sourceFolder("sdk"), "test", "consumer");

const COMPILERS = [
  { version: "5.9", module: "typescript-5.9", skipLibCheck: true },
  { version: "6.0", module: "typescript-6.0", skipLibCheck: true },
  // The quick one checks the declarations themselves too, and those of everything that they stand on.
  { version: "7.0", module: "typescript", skipLibCheck: false },
];

/** Compiler settings that users have. */
const SETTINGS: Readonly<Record<string, object>> = {
  "Node's own resolution, everything strict": {
    module: "nodenext",
    target: "es2024",
    types: ["node"],
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    verbatimModuleSyntax: true,
  },
  "a bundler's resolution and a browser's library": {
    module: "esnext",
    moduleResolution: "bundler",
    target: "es2022",
    lib: ["es2024", "esnext.disposable", "dom", "dom.iterable", "dom.asynciterable"],
    types: ["node"],
  },
};

describe.each(COMPILERS)("TypeScript $version", ({ version, module, skipLibCheck }) => {
  it("is what it says", () => {
    const { version: actual } = require(`${module}/package.json`) as { version: string };
    expect(actual).toMatch(new RegExp(`^${version}\\.`));
  });

  it.each(Object.entries(SETTINGS))("accepts and refuses the same, with %s", async (_, settings) => {
    const folder = consumerProject({ ...settings, skipLibCheck });
    // One program that is wrong shows that the others were read, and read against real types.
    writeFileSync(join(folder, "wrong.ts"), 'import { Sandbox } from "@sallyport/sdk";\nSandbox.create("true");\n');
    const { code, output } = await compile(module, ["-p", folder]);
    const errors = output.split("\n").filter((line) => line.includes("error TS"));
    expect(errors).toEqual([expect.stringMatching(/wrong\.ts.*error TS2769/)]);
    expect(code).not.toBe(0);
  });
});

const DOCUMENTS: readonly string[] = [
  ...["contracts", "policy", "connect-token", "sdk"].map((name) => `packages/${name}/README.md`),
  ...["connect-tokens", "tunnels"].map((name) => `docs/${name}.md`),
];

describe("what programs are shown in", () => {
  it.each(DOCUMENTS)("%s compiles", async (path) => {
    const readme = readFileSync(join(sourceFolder("sdk"), "../..", path), "utf8");
    const programs = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, program = ""]) => program);
    expect(programs).not.toEqual([]);
    const folder = consumerProject({ ...SETTINGS["Node's own resolution, everything strict"], skipLibCheck: true });
    programs.forEach((program, index) => {
      writeFileSync(join(folder, `readme-${index}.ts`), `${program}export {};\n`);
    });
    expect(await compile("typescript", ["-p", folder])).toEqual({ code: 0, output: "" });
  });
});

/** A folder within the installed project, so that `node_modules` is found; it goes with that project. */
function consumerProject(settings: object): string {
  const folder = mkdtempSync(join(project, "consumer-"));
  for (const file of readdirSync(CONSUMERS)) copyFileSync(join(CONSUMERS, file), join(folder, file));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", type: "module" }));
  const compilerOptions = { strict: true, noEmit: true, ...settings };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  return folder;
}

async function compile(module: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  const tsc = join(dirname(require.resolve(`${module}/package.json`)), "bin", "tsc");
  try {
    const { stdout } = await run(process.execPath, [tsc, ...args, "--pretty", "false"], { cwd: project });
    return { code: 0, output: stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { code, output: stdout };
  }
}
