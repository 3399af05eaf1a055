// The JavaScript runtimes that the SDK is held to, and where the registry put their binaries.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

// They belong to a package of their own: one that depends on a "node" would run its own scripts by it.
const require = createRequire(new URL("../../runtimes/package.json", import.meta.url));

export interface Runtime {
  readonly name: string;
  /** What `--version` prints begins with this. */
  readonly version: string;
  /** Arguments before the program. */
  readonly args: readonly string[];
  /** Undefined where the registry has none for this machine's architecture. */
  readonly binary: string | undefined;
}

/** Packages by architecture, as Node names it. */
type ByArchitecture = Readonly<Record<string, readonly [name: string, path: string]>>;

const BUN: ByArchitecture = {
  x64: ["@oven/bun-linux-x64-baseline", "bin/bun"],
  arm64: ["@oven/bun-linux-aarch64", "bin/bun"],
};
const DENO: ByArchitecture = {
  x64: ["@deno/linux-x64-glibc", "deno"],
  arm64: ["@deno/linux-arm64-glibc", "deno"],
};
const NODE_22: ByArchitecture = {
  x64: ["node-22-linux-x64", "bin/node"],
  arm64: ["node-22-linux-arm64", "bin/node"],
};

function binaryOf(packages: ByArchitecture): string | undefined {
  const [name, path] = packages[process.arch] ?? [];
  if (name === undefined || path === undefined) return undefined;
  try {
    const binary = join(dirname(require.resolve(`${name}/package.json`)), path);
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined; // an optional dependency that was not installed
  }
}

export const RUNTIMES: readonly Runtime[] = [
  { name: "Node 22", version: "v22.", args: [], binary: binaryOf(NODE_22) },
  { name: "Node 24", version: "v24.", args: [], binary: process.execPath },
  { name: "Bun", version: "1.", args: ["run", "--bun"], binary: binaryOf(BUN) },
  {
    name: "Deno",
    version: "deno 2.",
    args: [
      "run",
      "--node-modules-dir=manual",
      "--no-prompt",
      "--allow-net",
      "--allow-env",
      "--allow-read",
      "--allow-sys",
    ],
    binary: binaryOf(DENO),
  },
];
