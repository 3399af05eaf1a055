// What callers ask for, checked: each refusal names the field. Used for the entrypoint and for execs alike.
import { createHash } from "node:crypto";
import { invalidArgument } from "@sallyport/appkit/errors";
import type { Command, PtySize } from "@sallyport/contracts";
import { ENTRYPOINT_EXEC_ID, EXEC_ID_PATTERN } from "@sallyport/contracts";
import { RESERVED_EXEC_ID_PREFIX } from "./files/stream-processes.ts";
import type { StartCommand } from "./init/messages.ts";
import {
  MAX_ARGV_BYTES,
  MAX_ARGV_ENTRIES,
  MAX_ENV_BYTES,
  MAX_ENV_ENTRIES,
  MAX_EXEC_LIFETIME_MS,
  MAX_PTY_CELLS,
  MAX_WORKDIR_BYTES,
} from "./limits.ts";

/** A request's parts of a command. */
export interface CommandParts {
  readonly command: Command | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly pty: PtySize | undefined;
}

/** The id of an exec: in shape, and not the entrypoint's. */
export function execIdOf(text: string): string {
  if (!EXEC_ID_PATTERN.test(text)) throw invalidArgument("exec_id", "1 to 64 of A-Z a-z 0-9 _ - are allowed");
  if (text === ENTRYPOINT_EXEC_ID) throw invalidArgument("exec_id", `"${text}" is the sandbox's own command`);
  if (text.startsWith(RESERVED_EXEC_ID_PREFIX)) {
    throw invalidArgument("exec_id", `ids that begin with ${RESERVED_EXEC_ID_PREFIX} are the platform's`);
  }
  return text;
}

/** argv, within bounds. */
export function argvOf(command: Command | undefined): readonly string[] {
  const argv = command?.argv ?? [];
  if (argv.length === 0 || argv[0] === "") throw invalidArgument("command", "is empty");
  if (argv.length > MAX_ARGV_ENTRIES) throw invalidArgument("command", `has more than ${MAX_ARGV_ENTRIES} entries`);
  if (argv.some(hasNul)) throw invalidArgument("command", "holds a NUL");
  if (sizeOf(argv) > MAX_ARGV_BYTES) throw invalidArgument("command", `is larger than ${MAX_ARGV_BYTES} bytes`);
  return argv;
}

/** The same environment, within bounds. */
export function envOf(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(env);
  if (entries.length > MAX_ENV_ENTRIES) throw invalidArgument("env", `has more than ${MAX_ENV_ENTRIES} entries`);
  for (const [name, value] of entries) {
    if (name === "" || name.includes("=") || hasNul(name)) throw invalidArgument("env", "has a name out of shape");
    if (hasNul(value)) throw invalidArgument("env", "holds a NUL");
  }
  if (sizeOf(envList(env)) > MAX_ENV_BYTES) throw invalidArgument("env", `is larger than ${MAX_ENV_BYTES} bytes`);
  return env;
}

/** An absolute path within bounds; "/" for an empty one. */
export function workdirOf(workdir: string): string {
  if (workdir === "") return "/";
  if (!workdir.startsWith("/")) throw invalidArgument("workdir", "is not absolute");
  if (hasNul(workdir)) throw invalidArgument("workdir", "holds a NUL");
  if (Buffer.byteLength(workdir) > MAX_WORKDIR_BYTES) throw invalidArgument("workdir", "is too long");
  return workdir;
}

/** The size of a terminal; `field` is its name in the request. */
export function ptyOf(size: PtySize | undefined, field: string): StartCommand["pty"] {
  if (size === undefined) return undefined;
  const { columns, rows } = size;
  for (const cells of [columns, rows]) {
    if (cells < 1 || cells > MAX_PTY_CELLS) {
      throw invalidArgument(field, `columns and rows are 1 to ${MAX_PTY_CELLS}`);
    }
  }
  return { columns, rows };
}

export function lifetimeOf(lifetimeMs: number | undefined): number | undefined {
  if (lifetimeMs !== undefined) mustBeWithin("lifetime_ms", lifetimeMs, 1, MAX_EXEC_LIFETIME_MS);
  return lifetimeMs;
}

/** A number of the request, refused outside its bounds. */
export function mustBeWithin(field: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw invalidArgument(field, `must be ${min} to ${max}`);
  }
  return value;
}

/** `NAME=value` for each. */
export function envList(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

/** Tells two requests to start a process apart. */
export function fingerprintOf(parts: CommandParts, stdin: boolean, lifetimeMs: number | undefined): string {
  const { command, pty, workdir } = parts;
  const env = envList(parts.env).toSorted();
  const text = JSON.stringify([command?.argv, env, workdir, pty?.columns, pty?.rows, stdin, lifetimeMs]);
  return createHash("sha256").update(text).digest("base64url");
}

function hasNul(text: string): boolean {
  return text.includes("\0");
}

/** As the kernel counts: each with the byte that ends it. */
function sizeOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
}
