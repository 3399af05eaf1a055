// What the gateway says of an init, checked: its words come from a tenant's hands in the end.
import type { Outcome } from "@sallyport/contracts";
import { EndReason } from "@sallyport/contracts";
import type { InstanceOutcome } from "../instance/record.ts";

const MAX_WORDS = 500;

/** Anything but a process that exited or was killed by a signal counts as a failure of init. */
export function entrypointOutcome(outcome: Outcome): InstanceOutcome {
  const { reason, exitCode, signal } = outcome;
  if (Number.isInteger(exitCode) && exitCode >= 0 && exitCode <= 255) {
    if (reason === EndReason.EXITED) return { reason: "exited", exitCode };
    if (reason === EndReason.SIGNALLED && signal !== undefined && /^SIG[A-Z0-9+-]{1,12}$/.test(signal)) {
      return { reason: "signalled", exitCode, signal };
    }
  }
  return { reason: "initFailure", exitCode: 137, message: "the end of the command was not told properly" };
}

export function initFailureWords(message: string): string {
  const words = message.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_WORDS);
  return words === "" ? "the sandbox's init cannot be trusted any more" : words;
}
