// The one place where this package starts programs: argv only (no shell), a deadline, output kept or read line by line.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { basename } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { HostError } from "./errors.ts";

export interface CommandOptions {
  /** What messages call it. The program's base name when unset. */
  readonly name?: string;
  readonly cwd?: string;
  /** Added to this process's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
  /** 60,000 when unset. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** How long it may take to end once it is told to. 5,000 when unset. */
  readonly graceMs?: number;
  /** Called for each line of stdout and stderr, as it comes. */
  readonly onLine?: ((line: string) => void) | undefined;
}

export interface CommandResult {
  /** 0–255; 128 + number where a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, as they came. */
  readonly output: string;
}

const KEPT_CHARACTERS = 4_000_000;
const TERM_GRACE_MS = 5_000;

/** Runs a program to its end. Throws HostError `CommandFailed` where it cannot be started, `Timeout` past the deadline. */
export async function run(file: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const child = spawn(file, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  const onText = (text: string) => {
    if (output.length < KEPT_CHARACTERS) output += text;
  };
  const stdout = collect(child.stdout, onText, options.onLine);
  const stderr = collect(child.stderr, onText, options.onLine);
  // A program that ends without reading its input is no failure of ours: its exit status tells.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const timeoutMs = options.timeoutMs ?? 60_000;
  let timedOut = false;
  const deadline = setTimeout(() => {
    timedOut = true;
    stop(child, options.graceMs);
  }, timeoutMs);
  const onAbort = () => stop(child, options.graceMs);
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const exitCode = await ended(child, file);
    options.signal?.throwIfAborted();
    if (timedOut)
      throw new HostError("Timeout", `${options.name ?? basename(file)} did not end within ${timeoutMs / 1000} s`);
    return { exitCode, stdout: stdout.text(), stderr: stderr.text(), output };
  } finally {
    clearTimeout(deadline);
    options.signal?.removeEventListener("abort", onAbort);
  }
}

/** As `run`, and throws `CommandFailed` with the last lines of its output where the exit status is not 0. */
export async function runOk(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await run(file, args, options);
  if (result.exitCode !== 0) {
    const said = lastLines(result.output);
    throw new HostError(
      "CommandFailed",
      `${options.name ?? basename(file)} ended with status ${result.exitCode}${said === "" ? "" : `:\n${said}`}`,
    );
  }
  return result;
}

/** A program that stays until it is told to go: resolves when it has written its first line. Disposal closes its stdin and awaits its end. */
export async function startHolder(
  file: string,
  args: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly onWait?: () => void; readonly onWaitMs?: number },
): Promise<AsyncDisposable> {
  options.signal?.throwIfAborted();
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => undefined);
  const end = ended(child, file);
  const onAbort = () => stop(child);
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const waiting = setTimeout(() => options.onWait?.(), options.onWaitMs ?? 500);
  try {
    const first = new Promise<"line">((resolve) => child.stdout.once("data", () => resolve("line")));
    const what = await Promise.race([first, end]);
    options.signal?.throwIfAborted();
    if (what !== "line") throw new HostError("CommandFailed", `${file} ended with status ${what}`);
  } finally {
    clearTimeout(waiting);
    options.signal?.removeEventListener("abort", onAbort);
  }
  return {
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await end;
    },
  };
}

function ended(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (error) =>
      reject(new HostError("CommandFailed", `${file} could not be started: ${error.message}`, { cause: error })),
    );
    child.once("close", (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

/** Asks a program to end, and ends it after a grace time. What its own children still write is then no longer waited for. */
function stop(child: ChildProcess, graceMs = TERM_GRACE_MS): void {
  child.kill("SIGTERM");
  const kill = setTimeout(() => {
    child.kill("SIGKILL");
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, graceMs);
  child.once("close", () => clearTimeout(kill));
}

function collect(
  stream: NodeJS.ReadableStream,
  onText: (text: string) => void,
  onLine: ((line: string) => void) | undefined,
): { text: () => string } {
  let text = "";
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    if (text.length < KEPT_CHARACTERS) text += chunk;
    onText(chunk);
    if (onLine === undefined) return;
    const lines = (rest + chunk).split(/\r?\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onLine(stripVTControlCharacters(line).trim());
  });
  stream.on("end", () => {
    if (rest.trim() !== "") onLine?.(rest.trim());
  });
  return { text: () => text };
}

function lastLines(text: string, count = 30): string {
  return stripVTControlCharacters(text).trimEnd().split("\n").slice(-count).join("\n");
}
