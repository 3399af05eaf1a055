// Starting the laid-out supervisor: under the subreaper, which takes in whatever outlives the worker.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { join } from "node:path";
import type { CliContext } from "./context.ts";
import { CliError } from "./errors.ts";
import type { HomeOptions } from "./home.ts";
import { machinePaths } from "./home.ts";

/** What starts the supervisor. */
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Finds the programs. Throws CliError where set-up has not laid them out, or the caller is not root. */
export async function findLaunch(
  context: CliContext,
  options: HomeOptions,
  extra: Record<string, string> = {},
): Promise<Launch> {
  if (!context.isRoot) {
    throw new CliError("Failed", "only root can start or end a platform", { hint: "run it as root, e.g. with sudo" });
  }
  const { home, opt } = machinePaths(context, options);
  const main = join(opt.current, "apps", "standalone", "dist", "main.js");
  const node = join(opt.current, "bin", "node");
  const reap = join(opt.nativeCurrent, "sallyport-reap");
  for (const path of [main, node, reap]) await assertLaidOut(path);
  const { SALLYPORT_TOKEN: _token, SALLYPORT_API_URL: _url, ...env } = context.env; // a caller's, not the platform's
  return { file: reap, args: ["--", node, main], env: { ...env, SALLYPORT_HOME: home.root, ...extra } };
}

/** Starts it at this terminal, and passes on the signal that stops us. Resolves with its exit code. */
export async function runInForeground(context: CliContext, launch: Launch): Promise<number> {
  const child = spawn(launch.file, [...launch.args], {
    env: { ...launch.env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const stop = () => child.kill("SIGTERM");
  context.signal.addEventListener("abort", stop, { once: true });
  try {
    return await exitCodeOf(child);
  } finally {
    context.signal.removeEventListener("abort", stop);
  }
}

/** The exit code of a child, 128 + 15 for one that a signal ended. Rejects when it could not be started. */
export async function exitCodeOf(child: ChildProcess): Promise<number> {
  if (child.exitCode !== null) return child.exitCode;
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 143;
}

async function assertLaidOut(path: string): Promise<void> {
  try {
    await access(path);
  } catch (cause) {
    throw new CliError("Failed", `Sallyport is not laid out on this machine: there is no ${path}`, {
      hint: "run `npm run setup` in a clone; `sallyport doctor` tells what else is missing",
      cause,
    });
  }
}
