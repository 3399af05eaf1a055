// Runs programs for the benchmarks.
import type { ChildProcess, StdioOptions } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Runs to the end and returns stdout; rejects with the end of stderr when it fails. */
export async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk: string) => {
    stdout += chunk;
  });
  await succeeded(child, `${program} ${args[0] ?? ""}`);
  return stdout;
}

/** Runs to the end with streams of the caller's choosing; rejects when it fails. */
export async function runWith(argv: readonly [string, ...string[]], stdio: StdioOptions): Promise<void> {
  const [program, ...args] = argv;
  await succeeded(spawn(program, args, { stdio }), program);
}

/** Runs to the end, handing what it writes to `take` as it comes. */
export async function stream(argv: readonly [string, ...string[]], take: (chunk: Uint8Array) => void): Promise<void> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.on("data", take);
  await succeeded(child, program);
}

/** Resolves once the child has ended well and its streams are closed. */
async function succeeded(child: ChildProcess, name: string): Promise<void> {
  let stderr = "";
  child.stderr?.setEncoding("utf8");
  child.stderr?.on("data", (chunk: string) => {
    stderr = (stderr + chunk).slice(-2_000);
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${stderr.trim().slice(-500)}`);
}
