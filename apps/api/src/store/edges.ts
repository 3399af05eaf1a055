// Edges: which there are, what each acts on, when each was heard of last.
import { sql } from "kysely";
import type { EdgeKind } from "../domain/edge-kind.ts";
import { EDGE_SILENCE_MS } from "../domain/limits.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { EDGES_TOPIC } from "./topics.ts";

export interface EdgeRow {
  readonly id: string;
  readonly kind: EdgeKind;
  readonly revision: number;
  readonly seenAt: Date;
  /** It was silent: what is told now it does not hear. */
  readonly isStale: boolean;
}

/** All that were not forgotten, by their ids. */
export async function listEdges(db: Db): Promise<EdgeRow[]> {
  const rows = await db
    .selectFrom("edges")
    .select(["id", "kind", "revision", "seen_at", isStale.as("stale")])
    .orderBy("id")
    .execute();
  return rows.map(({ id, kind, revision, seen_at: seenAt, stale }) => ({ id, kind, revision, seenAt, isStale: stale }));
}

/**
 * Writes down an edge that is here, with what it acts on where that is known; false when there are too many. Its own
 * number is taken back too: it may have lost what it had. One that is known keeps its kind until it says what it acts on.
 */
export async function registerEdge(
  db: Db,
  edge: { readonly id: string; readonly kind: EdgeKind; readonly revision: number | undefined },
  limit: number,
): Promise<boolean> {
  const { id, kind, revision } = edge;
  const { rows } = await sql<{ id: string }>`
    INSERT INTO edges (id, kind, revision, seen_at)
    SELECT ${id}::text, ${kind}::text, ${revision ?? 0}::bigint, now()
    WHERE EXISTS (SELECT 1 FROM edges WHERE id = ${id}) OR (SELECT count(*) FROM edges) < ${limit}
    ON CONFLICT (id) DO UPDATE SET seen_at = now(), revision = coalesce(${revision ?? null}::bigint, edges.revision),
      kind = CASE WHEN ${revision ?? null}::bigint IS NULL THEN edges.kind ELSE excluded.kind END
    RETURNING id, ${notifying(EDGES_TOPIC)}`.execute(db);
  return rows.length > 0;
}

/**
 * Notes what an edge acts on; false where it is unknown, or names a number that nobody was told. Not flushed to disk: a
 * crash takes back what the edge says again a second later.
 */
export async function acknowledge(db: Db, edge: { readonly id: string; readonly revision: number }): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE edges SET revision = ${edge.revision}::bigint, seen_at = now() FROM lazily
    WHERE id = ${edge.id} AND ${edge.revision} <= (SELECT route_sequence.revision FROM route_sequence)
    RETURNING id, ${notifying(EDGES_TOPIC)}`.execute(db);
  return rows.length > 0;
}

/** The same where the number is the one it had: nobody waits for that. */
export async function touchEdge(db: Db, edge: { readonly id: string; readonly revision: number }): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE edges SET seen_at = now() FROM lazily WHERE id = ${edge.id} AND revision = ${edge.revision}
    RETURNING id`.execute(db);
  return rows.length > 0;
}

/** Whether an edge is known. Until the transaction is over it stays so. */
export async function lockEdge(db: Db, id: string): Promise<boolean> {
  return (await db.selectFrom("edges").select("id").where("id", "=", id).forShare().execute()).length > 0;
}

/** Forgets an edge, and the keys that it still has; whoever waits for it is told. */
export async function deleteEdge(db: Db, id: string): Promise<void> {
  await sql`
    WITH gone AS (DELETE FROM edges WHERE id = ${id} RETURNING id)
    SELECT id, ${notifying(EDGES_TOPIC)} FROM gone`.execute(db);
}

/** Forgets edges that were silent since before this time, and their keys; answers how many it was. */
export async function deleteSilentEdges(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM edges WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM edges WHERE seen_at < ${before} LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ))`.execute(db);
  return Number(numAffectedRows);
}

/** Time is the database's own here: it is what seen_at is written with. */
const isStale = sql<boolean>`seen_at < now() - ${sql.lit(EDGE_SILENCE_MS)} * interval '1 millisecond'`;
