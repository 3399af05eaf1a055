// The only place where the worker starts processes: argv lists, never a shell line, a fixed environment.

import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";

/** All that a child sees of our environment unless `env` says otherwise: no secret reaches it by accident. */
const BASE_ENV: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
};
const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const ERROR_LINES = 5;
const ERROR_LENGTH = 1000;

export interface CommandOptions {
  /** Aborting kills the process and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline for the whole run, after which the process is killed. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Bytes for standard input; without it standard input is empty. */
  readonly input?: string | Uint8Array | undefined;
  /** Added to PATH and LC_ALL, which are all there is otherwise. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
}

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that could not be started, failed, was killed, or said too much. Arguments are kept out: they may be secret. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code = "CommandFailed" as const;
  readonly program: string;
  /** `null` where the program did not exit by itself. */
  readonly exitCode: number | null;
  /** Last lines of standard error. */
  readonly stderr: string;

  constructor(program: string, what: string, exitCode: number | null, stderr: string, cause?: unknown) {
    const tail = lastLines(stderr);
    super(`${program} ${what}${tail === "" ? "" : `: ${tail}`}`, { cause });
    this.program = program;
    this.exitCode = exitCode;
    this.stderr = tail;
  }
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-ERROR_LINES).join(" | ").slice(-ERROR_LENGTH);
}

/**
 * Runs a program to its end.
 *
 * @throws CommandError unless it exits with 0; the signal's reason where aborted.
 */
export function run(argv: readonly [string, ...string[]], options: CommandOptions = {}): Promise<CommandResult> {
  const { signal } = options;
  const program = argv[0];
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const child = start(argv, { env: options.env, cwd: options.cwd, stdio: ["pipe", "pipe", "pipe"] });
    const stdout = collect(child.stdout, () => stop("wrote too much"));
    const stderr = collect(child.stderr, () => stop("wrote too much"));
    let stopped: string | undefined;
    const stop = (what: string): void => {
      stopped ??= what;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => stop("took too long"), options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const onAbort = (): void => stop("was aborted");
    signal?.addEventListener("abort", onAbort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    child.once("error", (error) => {
      settle();
      reject(new CommandError(program, "could not be started", null, "", error));
    });
    child.once("close", (code, killedBy) => {
      settle();
      if (signal?.aborted) reject(reasonOf(signal));
      else if (stopped !== undefined) reject(new CommandError(program, stopped, null, stderr()));
      else if (code !== 0) reject(new CommandError(program, ending(code, killedBy), code, stderr()));
      else resolve({ stdout: stdout(), stderr: stderr() });
    });
    // A program that ends without reading its input gives EPIPE here; its exit code tells the story.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input);
  });
}

function ending(code: number | null, killedBy: NodeJS.Signals | null): string {
  return code === null ? `was killed by ${killedBy ?? "a signal"}` : `exited with ${code}`;
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted", { cause: signal.reason });
}

function collect(stream: NodeJS.ReadableStream | null, onTooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length > MAX_OUTPUT_BYTES) onTooMuch();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

export interface StartOptions {
  /** Added to PATH and LC_ALL, which are all there is otherwise. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Default: no input, output and errors dropped. Pipes beyond 2 are allowed. */
  readonly stdio?: StdioOptions | undefined;
  /** A session of its own, so that signals to our process group do not reach it. */
  readonly detached?: boolean | undefined;
}

/** Starts a program that the caller keeps: the caller listens for `error` and `exit`, and ends it. */
export function start(argv: readonly [string, ...string[]], options: StartOptions = {}): ChildProcess {
  const [program, ...rest] = argv;
  return spawn(program, rest, {
    env: { ...BASE_ENV, ...options.env },
    cwd: options.cwd ?? "/",
    stdio: options.stdio ?? "ignore",
    detached: options.detached ?? false,
  });
}
