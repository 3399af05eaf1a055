// How an instance ended, from why its end was wanted and what the kernel counted. Pure, and a table as far as it goes.
import { isAppError } from "@sallyport/appkit/errors";
import type { InstanceOutcome } from "./record.ts";

/** Why the end of an instance is wanted. The first one counts. */
export type EndCause =
  /** The api wishes it gone. */
  | { readonly kind: "stopWish" }
  /** The platform is taken down. */
  | { readonly kind: "down" }
  | { readonly kind: "lifetimeOver" }
  /** Nothing has used it for its idle timeout. */
  | { readonly kind: "idle" }
  /** The gateway tells how the entrypoint ended; the output is in its keeping. */
  | { readonly kind: "entrypointEnded"; readonly outcome: InstanceOutcome }
  /** The gateway does not believe this init any more. */
  | { readonly kind: "initFailed"; readonly message: string }
  /** The sandbox is gone, and nobody said why. */
  | { readonly kind: "gone"; readonly exitCode: number | undefined }
  /** The machine was restarted. */
  | { readonly kind: "rebooted" }
  /** It could not be started. */
  | { readonly kind: "startFailed"; readonly error: unknown };

export interface EndEvidence {
  /** Tasks that the kernel refused. */
  readonly pidsRefusals: number;
  /** Kills for want of memory that are recent enough to have to do with the end. */
  readonly recentOomKills: number;
  readonly isDiskFull: boolean;
}

const MAX_MESSAGE_LENGTH = 1_000;
const KILLED = 137;

const OOM: InstanceOutcome = {
  reason: "oom",
  exitCode: KILLED,
  message: "the sandbox ran out of memory and was killed as a whole",
};
const COMMAND_OOM: InstanceOutcome = {
  reason: "oom",
  exitCode: KILLED,
  message: "the sandbox ran out of memory: its command was killed",
};
const DISK_WORDS = "the sandbox's disk was full when its command ended";
const PIDS: InstanceOutcome = {
  reason: "pids",
  exitCode: KILLED,
  message: "the sandbox had too many processes: it ended when the kernel refused one more",
};

export function judgeEnd(cause: EndCause, evidence: EndEvidence): InstanceOutcome {
  switch (cause.kind) {
    case "stopWish":
      return { reason: "terminated", exitCode: KILLED };
    case "down":
      return { reason: "terminated", exitCode: KILLED, message: "the platform was taken down" };
    case "lifetimeOver":
      return { reason: "timeout", exitCode: 124 };
    case "idle":
      return { reason: "idle", exitCode: 124 };
    case "entrypointEnded":
      // The kernel may kill only the process: its own status then looks like any other.
      if (cause.outcome.exitCode !== 0 && evidence.recentOomKills > 0) return COMMAND_OOM;
      return cause.outcome.exitCode !== 0 && evidence.isDiskFull
        ? { ...cause.outcome, message: DISK_WORDS }
        : cause.outcome;
    case "initFailed":
      return overLimit(evidence) ?? initFailure(cause.message);
    case "gone":
      return overLimit(evidence) ?? initFailure(goneWords(cause.exitCode));
    case "rebooted":
      return { reason: "lost", exitCode: KILLED, message: "the machine was restarted" };
    case "startFailed":
      return commandRefused(cause.error) ?? overLimit(evidence) ?? initFailure(wordsOf(cause.error));
  }
}

function overLimit(evidence: EndEvidence): InstanceOutcome | undefined {
  if (evidence.recentOomKills > 0) return OOM;
  return evidence.pidsRefusals > 0 ? PIDS : undefined;
}

function initFailure(message: string): InstanceOutcome {
  return { reason: "initFailure", exitCode: KILLED, message: message.slice(0, MAX_MESSAGE_LENGTH) };
}

/** As shells have it: 127 for a program that does not exist, 126 for one that cannot be run. */
function commandRefused(error: unknown): InstanceOutcome | undefined {
  if (!isAppError(error, "InvalidArgument")) return undefined;
  const { field, message } = error;
  if (field !== "command" && field !== "workdir") return undefined;
  // The reason stands last, after names that the tenant chose.
  const missing = /^no such file/i.test(message.split(": ").at(-1) ?? "");
  return {
    reason: "exited",
    exitCode: missing ? 127 : 126,
    message: message.slice(0, MAX_MESSAGE_LENGTH),
    startErrorField: field,
  };
}

function goneWords(exitCode: number | undefined): string {
  const status = exitCode === undefined ? "" : ` with status ${exitCode}`;
  return `the sandbox's init or kernel ended${status}`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
