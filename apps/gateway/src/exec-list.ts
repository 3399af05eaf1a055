// What a list of processes tells of each.
import type { Exec } from "@sallyport/contracts";
import type { Process } from "./process.ts";

/** A process as a list shows it. */
export function execOf({ execId, outcome, record }: Process): Exec {
  const { argv, createdAtMs, endedAtMs, pty } = record;
  return {
    execId,
    command: { argv },
    startedAt: new Date(createdAtMs),
    endedAt: outcome === undefined || endedAtMs === null ? undefined : new Date(endedAtMs),
    outcome,
    pty,
  };
}
