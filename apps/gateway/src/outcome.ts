// How a process's end is told: exit status, signal, deadline or termination as an Outcome.
import { constants } from "node:os";
import type { Outcome } from "@sallyport/contracts";
import { EndReason } from "@sallyport/contracts";
import type { ExecRecord } from "./spool/records.ts";

const SIGKILL = constants.signals.SIGKILL;
const NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals));
/** The first name of each number: some have a second one (SIGIOT is SIGABRT). */
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .map(([n, v]) => [v, n] as const)
    .toReversed(),
);

/** The number of a signal's name, e.g. "SIGTERM". */
export function signalNumber(name: string): number | undefined {
  return NUMBERS.get(name);
}

/** The outcome of a process; undefined while it runs. */
export function outcomeOf(record: ExecRecord): Outcome | undefined {
  const { exit } = record;
  if (exit === null) return undefined;
  switch (exit.kind) {
    case "terminated":
      return { reason: EndReason.TERMINATED, exitCode: 128 + SIGKILL };
    case "exited":
      return { reason: EndReason.EXITED, exitCode: exit.value };
    case "signalled":
      if (record.timedOut && exit.value === SIGKILL) return { reason: EndReason.TIMEOUT, exitCode: 124 };
      return {
        reason: EndReason.SIGNALLED,
        exitCode: 128 + exit.value,
        signal: NAMES.get(exit.value) ?? `SIG${exit.value}`,
      };
  }
}
