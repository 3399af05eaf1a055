// Events of sandboxes: numbered without a gap, in the order of their commits, written with what they tell of.
import { sql } from "kysely";
import { MAX_DENIALS_KEPT, MAX_EVENTS_KEPT, MAX_TOKEN_EVENTS_KEPT } from "../domain/limits.ts";
import type { NewEvent, SandboxEvent } from "../domain/sandbox-event.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { sandboxTopic } from "./topics.ts";

/**
 * Writes events of one sandbox, the newest last, and lets go of those that are too old, some types sooner than the rest. The lock on the sandbox's row,
 * held until commit, is what makes numbers grow in the order of commits. Whoever calls knows that the sandbox is the
 * caller's to write of.
 */
export async function appendEvents(db: Db, sandboxId: string, events: readonly NewEvent[]): Promise<void> {
  const kept = keptOf(events);
  if (kept.length === 0) return;
  const rows = JSON.stringify(kept.map(({ type, at, detail }) => ({ type, at: at ?? null, detail })));
  const count = kept.length;
  const stale = [...MOST_OF_TYPE].flatMap(([type, most]) => {
    const added = kept.filter((event) => event.type === type).length;
    if (added === 0) return [];
    return [
      sql`(type = ${type} AND seq <= coalesce((
        SELECT seq FROM sandbox_events WHERE sandbox_id = ${sandboxId} AND type = ${type}
        ORDER BY seq DESC OFFSET ${most - added} LIMIT 1
      ), 0))`,
    ];
  });
  const isStale = stale.length === 0 ? sql<boolean>`false` : sql<boolean>`(${sql.join(stale, sql` OR `)})`;
  await sql`
    WITH numbered AS (
      UPDATE sandboxes SET event_seq = event_seq + ${count} WHERE id = ${sandboxId}
      RETURNING id, workspace_id, event_seq
    ), trimmed AS (
      DELETE FROM sandbox_events WHERE sandbox_id = ${sandboxId} AND (${isStale} OR seq <= (
        SELECT seq FROM sandbox_events WHERE sandbox_id = ${sandboxId} AND NOT ${isStale}
        ORDER BY seq DESC OFFSET ${MAX_EVENTS_KEPT - count} LIMIT 1
      ))
    ), written AS (
      INSERT INTO sandbox_events (sandbox_id, seq, workspace_id, at, type, detail)
      SELECT numbered.id, numbered.event_seq - ${count} + item.number, numbered.workspace_id,
        coalesce((item.event->>'at')::timestamptz, now()), item.event->>'type', item.event->'detail'
      FROM numbered, jsonb_array_elements(${rows}::jsonb) WITH ORDINALITY AS item (event, number)
    )
    SELECT ${notifying(sandboxTopic(sandboxId))}`.execute(db);
}

/** Types of which there may be floods, with how many of each are kept. */
const MOST_OF_TYPE: ReadonlyMap<string, number> = new Map([
  ["network_denied", MAX_DENIALS_KEPT],
  ["connect_token_created", MAX_TOKEN_EVENTS_KEPT],
  ["connect_token_revoked", MAX_TOKEN_EVENTS_KEPT],
]);

/** Those that are not too old the moment they are written. */
function keptOf(events: readonly NewEvent[]): readonly NewEvent[] {
  const stale = new Set(
    [...MOST_OF_TYPE].flatMap(([type, most]) => events.filter((event) => event.type === type).slice(0, -most)),
  );
  return (stale.size === 0 ? events : events.filter((event) => !stale.has(event))).slice(-MAX_EVENTS_KEPT);
}

/** Writes the same event of every living sandbox on a worker; answers with them. */
export async function appendWorkerEvent(db: Db, workerId: string, event: NewEvent): Promise<string[]> {
  const living = await db
    .selectFrom("instances")
    .select("sandbox_id")
    .where("worker_id", "=", workerId)
    .where("ended_at", "is", null)
    .orderBy("id")
    .execute();
  for (const { sandbox_id: sandboxId } of living) await appendEvents(db, sandboxId, [event]);
  return living.map((row) => row.sandbox_id);
}

/** Events of a sandbox of this workspace after a number, oldest first. */
export async function listEvents(
  workspaceId: string,
  db: Db,
  options: { readonly sandboxId: string; readonly afterSeq: number; readonly limit: number },
): Promise<SandboxEvent[]> {
  return db
    .selectFrom("sandbox_events")
    .select(["seq", "at", "type", "detail"])
    .where("workspace_id", "=", workspaceId)
    .where("sandbox_id", "=", options.sandboxId)
    .where("seq", ">", options.afterSeq)
    .orderBy("seq")
    .limit(options.limit)
    .execute();
}
