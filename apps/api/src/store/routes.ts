// What edges are told, by the numbers of the one sequence that triggers write (migrations/0005-connect-tokens.ts). A
// number is given under a lock that its transaction holds until it is committed: whoever sees one sees all before it, so
// "newer than the newest that I have" misses nothing.
import { sql } from "kysely";
import type { Tunnel } from "../domain/declared-port.ts";
import type { ObservedState, Wish } from "../domain/instance-state.ts";
import type { Db } from "./database.ts";
import type { TunnelJson } from "./tunnels.ts";
import { toTunnels, tunnelsJson } from "./tunnels.ts";

/** A route as it is now. */
export interface RouteRow {
  readonly sandboxId: string;
  readonly workspaceId: string;
  readonly instanceId: string;
  readonly wish: Wish;
  readonly observed: ObservedState;
  readonly tokenEpoch: number;
  /** When its sandbox ended, once it has. */
  readonly endedAt: Date | undefined;
  readonly tunnels: readonly Tunnel[];
  /** CIDRs of those who may come; undefined for everybody. */
  readonly inbound: readonly string[] | undefined;
}

export interface RevocationRow {
  readonly tokenId: string;
  readonly sandboxId: string;
  readonly expiresAt: Date;
}

/** What is newer than a number: all of it, or its oldest part. */
export interface ChangesPage {
  /** The newest number there is. */
  readonly head: number;
  /** What was told up to this number may have been forgotten since. */
  readonly floor: number;
  /** Of the newest change of the key set. */
  readonly keysRevision: number;
  readonly routes: readonly RouteRow[];
  readonly revoked: readonly RevocationRow[];
  /** The newest number of this page. */
  readonly last: number;
  /** Whether there is nothing newer than this page, up to `head`. */
  readonly isWhole: boolean;
}

interface Row {
  readonly head: number;
  readonly floor: number;
  readonly keys_revision: number;
  readonly revision: number | null;
  readonly token_id: string | null;
  readonly changed_id: string;
  readonly token_expires_at: Date;
  readonly sandbox_id: string | null;
  readonly workspace_id: string;
  readonly token_epoch: number;
  readonly ended_at: Date | null;
  readonly instance_id: string | null;
  readonly wish: Wish;
  readonly observed: ObservedState;
  readonly inbound_cidrs: string[] | null;
  readonly tunnels: readonly TunnelJson[] | null;
}

/**
 * Changes after a number, oldest first, at most so many: one statement, so one moment. What changes while pages are read
 * comes again on a later page under its new number.
 */
export async function readChanges(db: Db, after: number, limit: number): Promise<ChangesPage> {
  const { rows } = await sql<Row>`
    SELECT head.revision AS head, head.floor, head.keys_revision, changed.revision, changed.token_id,
      changed.sandbox_id AS changed_id, changed.expires_at AS token_expires_at, sandboxes.id AS sandbox_id,
      sandboxes.workspace_id, sandboxes.token_epoch, sandboxes.ended_at, instances.id AS instance_id, instances.wish,
      instances.observed, sandboxes.inbound_cidrs,
      CASE WHEN changed.token_id IS NULL THEN ${tunnelsJson} END AS tunnels
    FROM route_sequence AS head
    LEFT JOIN (
      (SELECT revision, sandbox_id, NULL AS token_id, NULL AS expires_at FROM route_changes
        WHERE revision > ${after} ORDER BY revision LIMIT ${limit})
      UNION ALL
      (SELECT revision, sandbox_id, token_id, expires_at FROM revocations
        WHERE revision > ${after} ORDER BY revision LIMIT ${limit})
      ORDER BY revision LIMIT ${limit}
    ) AS changed ON true
    LEFT JOIN sandboxes ON sandboxes.id = changed.sandbox_id
    LEFT JOIN instances ON changed.token_id IS NULL AND instances.sandbox_id = sandboxes.id AND instances.generation = sandboxes.generation
    ORDER BY changed.revision`.execute(db);
  const [first] = rows;
  if (first === undefined) throw new Error("the sequence of routes has no row");
  const changes = rows.filter((row) => row.revision !== null);
  const isWhole = changes.length < limit;
  return {
    head: first.head,
    floor: first.floor,
    keysRevision: first.keys_revision,
    routes: changes.flatMap(toRoute),
    revoked: changes.flatMap(toRevocation),
    last: isWhole ? first.head : (changes.at(-1)?.revision ?? after),
    isWhole,
  };
}

function toRoute(row: Row): RouteRow[] {
  // A sandbox that was forgotten ended long ago: nobody needs to be told.
  if (row.sandbox_id === null || row.instance_id === null) return [];
  const { workspace_id: workspaceId, wish, observed, token_epoch: tokenEpoch } = row;
  return [
    {
      sandboxId: row.sandbox_id,
      workspaceId,
      instanceId: row.instance_id,
      wish,
      observed,
      tokenEpoch,
      endedAt: row.ended_at ?? undefined,
      tunnels: toTunnels(row.tunnels),
      inbound: row.inbound_cidrs ?? undefined,
    },
  ];
}

function toRevocation(row: Row): RevocationRow[] {
  // The end of a sandbox is the end of its tokens.
  if (row.token_id === null || row.sandbox_id === null || row.ended_at !== null) return [];
  return [{ tokenId: row.token_id, sandboxId: row.changed_id, expiresAt: row.token_expires_at }];
}

/** The newest number. */
export async function readHead(db: Db): Promise<number> {
  const row = await db.selectFrom("route_sequence").select("revision").executeTakeFirstOrThrow();
  return row.revision;
}

/** The newest number of a sandbox's route; undefined where edges are told of none. */
export async function readRouteRevision(db: Db, sandboxId: string): Promise<number | undefined> {
  const query = db.selectFrom("route_changes").select("revision").where("sandbox_id", "=", sandboxId);
  return (await query.executeTakeFirst())?.revision;
}

/** The workspace of a sandbox that edges are told of, whichever it is: only edges may learn it. */
export async function holderOfRoute(db: Db, sandboxId: string): Promise<string | undefined> {
  const row = await db
    .selectFrom("route_changes")
    .innerJoin("sandboxes", "sandboxes.id", "route_changes.sandbox_id")
    .select("sandboxes.workspace_id")
    .where("route_changes.sandbox_id", "=", sandboxId)
    .executeTakeFirst();
  return row?.workspace_id;
}

/**
 * Forgets at most so many routes that ended before this time; answers how many it was. The sequence is locked before any
 * of them, as nobody may lock it after one.
 */
export async function deleteEndedRoutes(tx: Db, before: Date, limit: number): Promise<number> {
  const ended = await tx
    .selectFrom("route_changes")
    .leftJoin("sandboxes", "sandboxes.id", "route_changes.sandbox_id")
    .select("route_changes.sandbox_id")
    .where(({ eb, or }) => or([eb("sandboxes.id", "is", null), eb("sandboxes.ended_at", "<", before)]))
    .limit(limit)
    .execute();
  if (ended.length === 0) return 0;
  await tx.selectFrom("route_sequence").select("id").forUpdate().execute();
  const ids = ended.map((row) => row.sandbox_id);
  const gone = await tx
    .deleteFrom("route_changes")
    .where(sql<boolean>`sandbox_id = ANY (${ids})`)
    .returning("revision")
    .execute();
  const newest = gone.reduce((most, { revision }) => Math.max(most, revision), 0);
  await tx
    .updateTable("route_sequence")
    .set({ floor: sql<number>`greatest(floor, ${newest})` })
    .execute();
  return gone.length;
}
