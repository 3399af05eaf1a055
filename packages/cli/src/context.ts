// What a command has from outside: streams, environment, signals. Tests bring their own.
import type { Readable, Writable } from "node:stream";
import type { Client } from "@sallyport/sdk";

/** The terminal's side of a stream, where there is one. */
export interface TerminalIn extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}
export interface TerminalOut extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface CliContext {
  readonly stdin: TerminalIn;
  readonly stdout: TerminalOut;
  readonly stderr: TerminalOut;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT and SIGTERM; its reason is the signal's name. */
  readonly signal: AbortSignal;
  readonly isRoot: boolean;
  /** A client as the environment or the profile file say. Throws SallyportError when they say too little. */
  createClient(): Client;
}

/** How a command ended, for the shell. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

/** The exit code of a command that was stopped by a signal. */
export function interruptedCode(signal: AbortSignal): number {
  return signal.reason === "SIGTERM" ? EXIT.terminated : EXIT.interrupted;
}
