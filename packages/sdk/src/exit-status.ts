// How sandboxes and processes end, in the words of the SDK.
import type { Outcome } from "@sallyport/contracts";
import { EndReason } from "@sallyport/contracts";

/** Why it ended: by itself, by a signal, its lifetime was over, idle, out of memory, too many processes, somebody terminated it, it could not start, its worker was lost. */
export type ExitReason =
  | "exited"
  | "signalled"
  | "timeout"
  | "idle"
  | "oom"
  | "pids"
  | "terminated"
  | "init-failure"
  | "lost";

/** How a sandbox or a process ended. */
export interface ExitStatus {
  /** 0 to 255; 128 + n after signal n, 124 after a timeout, 137 after a termination. */
  readonly exitCode: number;
  readonly reason: ExitReason;
  /** The signal's name, e.g. `SIGKILL`. */
  readonly signal?: string;
}

/** What {@link Sandbox.run} collects. */
export interface RunResult extends ExitStatus {
  /** All of standard output (with a terminal: everything), as UTF-8. */
  readonly stdout: string;
  /** All of standard error, as UTF-8. */
  readonly stderr: string;
}

const REASONS: ReadonlyMap<EndReason, ExitReason> = new Map<EndReason, ExitReason>([
  [EndReason.EXITED, "exited"],
  [EndReason.SIGNALLED, "signalled"],
  [EndReason.TIMEOUT, "timeout"],
  [EndReason.IDLE, "idle"],
  [EndReason.OOM, "oom"],
  [EndReason.PIDS, "pids"],
  [EndReason.TERMINATED, "terminated"],
  [EndReason.INIT_FAILURE, "init-failure"],
  [EndReason.LOST, "lost"],
]);

/** An outcome from the wire. A reason of a newer platform reads as "lost": what is known is that it ended. */
export function toExitStatus(outcome: Outcome): ExitStatus {
  const status = { exitCode: outcome.exitCode, reason: REASONS.get(outcome.reason) ?? "lost" };
  return Object.freeze(outcome.signal === undefined ? status : { ...status, signal: outcome.signal });
}

/** "exit code 3" or "SIGKILL (137)", with the reason where it is none of the process's own. */
export function describeExit(status: ExitStatus): string {
  const how = status.signal === undefined ? `exit code ${status.exitCode}` : `${status.signal} (${status.exitCode})`;
  return status.reason === "exited" || status.reason === "signalled" ? how : `${how}, ${status.reason}`;
}
