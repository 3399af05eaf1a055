// Waiting until edges act on what was committed.
import type { EdgeKind } from "../domain/edge-kind.ts";
import type { Db } from "../store/database.ts";
import type { EdgeRow } from "../store/edges.ts";
import { listEdges } from "../store/edges.ts";
import { EDGES_TOPIC } from "../store/topics.ts";
import type { ServiceDeps } from "./deps.ts";
import { waitUntil } from "./wait-until.ts";

/**
 * Resolves as soon as every connect edge that can be reached acts on a number, or the time is over; names those that do not.
 * Rejects with the signal's reason.
 */
export async function staleEdges(
  deps: Pick<ServiceDeps, "db" | "hub" | "clock">,
  revision: number,
  waitMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { hub, clock } = deps;
  let behind: readonly EdgeRow[] = [];
  await waitUntil({ hub, clock, topic: EDGES_TOPIC, waitMs, signal, lookEveryMs: EDGES_LOOK_EVERY_MS }, async () => {
    ({ behind } = await edgesAt(deps.db, "connect", revision));
    return behind.every((edge) => edge.isStale) ? true : undefined;
  });
  return behind.map((edge) => edge.id);
}

/** How edges of a kind stand to a number. */
export interface EdgesAt {
  /** How many can be reached. */
  readonly fresh: number;
  /** Those that do not act on it. */
  readonly behind: readonly EdgeRow[];
}

export async function edgesAt(db: Db, kind: EdgeKind, revision: number): Promise<EdgesAt> {
  const edges = (await listEdges(db)).filter((edge) => edge.kind === kind);
  return {
    fresh: edges.filter((edge) => !edge.isStale).length,
    behind: edges.filter((edge) => edge.revision < revision),
  };
}

/** Often: a wake-up tells of what an edge does, and none of an edge that falls silent. */
export const EDGES_LOOK_EVERY_MS = 500;
