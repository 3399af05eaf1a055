// Waiting until edges act on what was committed.
import type { EdgeRow } from "../store/edges.ts";
import { listEdges } from "../store/edges.ts";
import { EDGES_TOPIC } from "../store/topics.ts";
import type { ServiceDeps } from "./deps.ts";
import { waitUntil } from "./wait-until.ts";

/**
 * Resolves as soon as every edge that can be reached acts on a number, or the time is over; names those that do not.
 * Rejects with the signal's reason.
 */
export async function staleEdges(
  deps: Pick<ServiceDeps, "db" | "hub" | "clock">,
  revision: number,
  waitMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { hub, clock } = deps;
  let behind: EdgeRow[] = [];
  await waitUntil({ hub, clock, topic: EDGES_TOPIC, waitMs, signal, lookEveryMs: LOOK_EVERY_MS }, async () => {
    behind = (await listEdges(deps.db)).filter((edge) => edge.revision < revision);
    return behind.every((edge) => edge.isStale) ? true : undefined;
  });
  return behind.map((edge) => edge.id);
}

/** Often: a wake-up tells of what an edge does, and none of an edge that falls silent. */
const LOOK_EVERY_MS = 500;
