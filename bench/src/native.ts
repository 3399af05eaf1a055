// Programs of the benchmarks' own, in C and compiled for the run: load and apps that cost as little as can be.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./command.ts";

const FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"];

export interface CompileOptions {
  /** Runs in any sandbox. */
  readonly isStatic?: boolean;
  /** Names without "lib". */
  readonly libraries?: readonly string[];
}

/** Compiles a source of `bench/native` into a directory. Answers the program's path. */
export async function compile(source: string, directory: string, options: CompileOptions = {}): Promise<string> {
  const { isStatic = false, libraries = [] } = options;
  const program = join(directory, `${basename(source, ".c")}${isStatic ? "-static" : ""}`);
  const path = fileURLToPath(new URL(`../native/${source}`, import.meta.url));
  const linked = libraries.map((library) => `-l${library}`);
  await run("gcc", [...FLAGS, ...(isStatic ? ["-static"] : []), path, "-o", program, ...linked]);
  return program;
}

/** Starts a program that says something once it is ready, and ends with its standard input: that of the disposal. */
export async function startNative(argv: readonly [string, ...string[]]): Promise<AsyncDisposable> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const ended = exited.then(() => Promise.reject(new Error(`${basename(program)} ended`)));
  await Promise.race([once(child.stdout, "data"), ended]);
  return {
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exited;
    },
  };
}
