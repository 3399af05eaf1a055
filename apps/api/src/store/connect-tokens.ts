// What is known of connect tokens: never the tokens themselves. Triggers tell edges what is revoked.
import { sql } from "kysely";
import type { ObservedState, Wish } from "../domain/instance-state.ts";
import type { Db } from "./database.ts";

export interface NewConnectToken {
  readonly id: string;
  readonly sandboxId: string;
  readonly port: number;
  readonly embed: boolean;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly hasUserData: boolean;
}

/** What became of a new token. */
export interface InsertedToken {
  readonly wish: Wish;
  readonly observed: ObservedState;
  /** The sandbox's, which the token is of. */
  readonly epoch: number;
  /** False where the sandbox has as many tokens as it may. */
  readonly hasRoom: boolean;
  readonly isMade: boolean;
  /** A tunnel leads to the port, too. */
  readonly hasTunnel: boolean;
  /** The workspace takes no user data where that is so. */
  readonly refusesUserData: boolean;
  readonly startedAt: Date | undefined;
  readonly lifetimeMs: number;
  /** Id of the key that signs now; undefined when none does that this master key sealed. */
  readonly keyId: string | undefined;
}

/**
 * Writes a token of a living sandbox of this workspace, where there is room among those that have not expired: a few more
 * than the limit when many come at once. The sandbox is locked until commit, so it does not end meanwhile. Undefined when
 * there is none such.
 */
export async function insertConnectToken(
  workspaceId: string,
  db: Db,
  token: NewConnectToken,
  options: { readonly limit: number; readonly masterKeyId: string },
): Promise<InsertedToken | undefined> {
  const { id, sandboxId, port, embed, createdAt, expiresAt, hasUserData } = token;
  const { rows } = await sql<{
    readonly wish: Wish;
    readonly observed: ObservedState;
    readonly token_epoch: number;
    readonly has_room: boolean;
    readonly made_id: string | null;
    readonly started_at: Date | null;
    readonly lifetime_ms: number;
    readonly key_id: string | null;
    readonly has_tunnel: boolean;
    readonly refuses_user_data: boolean;
  }>`
    WITH sandbox AS (
      SELECT sandboxes.id, sandboxes.workspace_id, sandboxes.ended_at, token_epoch, wish, observed, started_at, lifetime_ms
      FROM sandboxes
      JOIN instances ON instances.sandbox_id = sandboxes.id AND instances.generation = sandboxes.generation
      WHERE sandboxes.workspace_id = ${workspaceId} AND sandboxes.id = ${sandboxId}
      FOR NO KEY UPDATE OF sandboxes
    ), room AS (
      SELECT count(*) < ${options.limit} AS has_room FROM (
        SELECT 1 FROM connect_tokens
        WHERE workspace_id = ${workspaceId} AND sandbox_id = ${sandboxId} AND expires_at > ${createdAt}::timestamptz
        LIMIT ${options.limit}
      ) AS living
    ), signing AS (
      SELECT id FROM connect_keys WHERE master_key_id = ${options.masterKeyId} AND signs_from <= now()
      ORDER BY signs_from DESC, id DESC LIMIT 1
    ), rules AS (
      SELECT refuses_user_data_at_tunnels AS refuses_user_data, EXISTS (
        SELECT 1 FROM declared_ports WHERE sandbox_id = ${sandboxId} AND port = ${port}
      ) AS has_tunnel FROM workspaces WHERE id = ${workspaceId}
    ), made AS (
      INSERT INTO connect_tokens (id, sandbox_id, workspace_id, epoch, port, embed, created_at, expires_at)
      SELECT ${id}::text, sandbox.id, sandbox.workspace_id, token_epoch, ${port}::integer, ${embed}::boolean,
        ${createdAt}::timestamptz, ${expiresAt}::timestamptz
      FROM sandbox, room, signing, rules
      WHERE has_room AND ended_at IS NULL AND wish = 'run' AND observed NOT IN ('stopping', 'ended')
        AND NOT (${hasUserData}::boolean AND has_tunnel AND refuses_user_data)
      RETURNING id
    )
    SELECT wish, observed, token_epoch, has_room, made.id AS made_id, started_at, lifetime_ms, signing.id AS key_id,
      has_tunnel, refuses_user_data
    FROM sandbox CROSS JOIN room CROSS JOIN rules LEFT JOIN made ON true LEFT JOIN signing ON true`.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    wish: row.wish,
    observed: row.observed,
    epoch: row.token_epoch,
    hasRoom: row.has_room,
    isMade: row.made_id !== null,
    hasTunnel: row.has_tunnel,
    refusesUserData: row.refuses_user_data,
    startedAt: row.started_at ?? undefined,
    lifetimeMs: row.lifetime_ms,
    keyId: row.key_id ?? undefined,
  };
}

export interface ConnectTokenRow {
  readonly id: string;
  readonly port: number;
  readonly embed: boolean;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** When it alone was revoked, or else all of its sandbox's. */
  readonly revokedAt: Date | undefined;
}

/** Those of a sandbox of this workspace that have not expired, newest first. */
export async function listConnectTokens(
  workspaceId: string,
  db: Db,
  sandboxId: string,
  now: Date,
): Promise<ConnectTokenRow[]> {
  const rows = await db
    .selectFrom("connect_tokens as token")
    .innerJoin("sandboxes", "sandboxes.id", "token.sandbox_id")
    .select(["token.id", "token.port", "token.embed", "token.created_at", "token.expires_at"])
    .select(
      sql<Date | null>`coalesce(token.revoked_at,
        CASE WHEN token.epoch < sandboxes.token_epoch THEN sandboxes.tokens_revoked_at END)`.as("revoked_at"),
    )
    .where("token.workspace_id", "=", workspaceId)
    .where("token.sandbox_id", "=", sandboxId)
    .where("token.expires_at", ">", now)
    .orderBy("token.id", "desc")
    .execute();
  return rows.map((row) => ({
    id: row.id,
    port: row.port,
    embed: row.embed,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at ?? undefined,
  }));
}

/** Locks a sandbox of this workspace until commit; whether it has not ended. Undefined when there is none such. */
export async function lockSandbox(workspaceId: string, tx: Db, sandboxId: string): Promise<boolean | undefined> {
  const row = await tx
    .selectFrom("sandboxes")
    .select("ended_at")
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", sandboxId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  return row === undefined ? undefined : row.ended_at === null;
}

/** Whether a token of a sandbox of this workspace is revoked already, alone or with all of its time. Undefined when there is none. */
export async function isTokenRevoked(
  workspaceId: string,
  db: Db,
  token: { readonly sandboxId: string; readonly id: string },
): Promise<boolean | undefined> {
  const row = await db
    .selectFrom("connect_tokens as token")
    .innerJoin("sandboxes", "sandboxes.id", "token.sandbox_id")
    .select(sql<boolean>`token.revoked_at IS NOT NULL OR token.epoch < sandboxes.token_epoch`.as("revoked"))
    .where("token.workspace_id", "=", workspaceId)
    .where("token.sandbox_id", "=", token.sandboxId)
    .where("token.id", "=", token.id)
    .executeTakeFirst();
  return row?.revoked;
}

/** Revokes a token of a locked sandbox of this workspace, where there is room among what edges keep in mind of it. */
export async function revokeConnectToken(
  workspaceId: string,
  tx: Db,
  token: { readonly sandboxId: string; readonly id: string },
  limit: number,
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    UPDATE connect_tokens SET revoked_at = now()
    WHERE workspace_id = ${workspaceId} AND sandbox_id = ${token.sandboxId} AND id = ${token.id} AND ${limit} > (
      SELECT count(*) FROM (
        SELECT 1 FROM revocations JOIN sandboxes ON sandboxes.id = revocations.sandbox_id
        WHERE sandboxes.workspace_id = ${workspaceId} AND sandboxes.ended_at IS NULL AND revocations.expires_at > now()
        LIMIT ${limit}
      ) AS kept
    ) RETURNING id`.execute(tx);
  return rows.length > 0;
}

/** Revokes all tokens that a sandbox of this workspace has so far; answers with the epoch of those to come. */
export async function raiseTokenEpoch(workspaceId: string, tx: Db, sandboxId: string): Promise<number> {
  const row = await tx
    .updateTable("sandboxes")
    .set({ token_epoch: sql<number>`token_epoch + 1`, tokens_revoked_at: sql<Date>`now()` })
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", sandboxId)
    .returning("token_epoch")
    .executeTakeFirstOrThrow();
  // The epoch says the same of all of them: nobody needs to keep them in mind any longer.
  await tx.deleteFrom("revocations").where("sandbox_id", "=", sandboxId).execute();
  return row.token_epoch;
}

/** Forgets at most so many tokens that expired before this time; answers how many it was. */
export async function deleteExpiredTokens(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM connect_tokens WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM connect_tokens WHERE expires_at < ${before} LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ))`.execute(db);
  return Number(numAffectedRows);
}

/** The same for revocations, which count for nothing once their token has expired or its sandbox has ended. */
export async function deleteExpiredRevocations(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM revocations WHERE ctid = ANY (ARRAY(
      SELECT revocations.ctid FROM revocations LEFT JOIN sandboxes ON sandboxes.id = revocations.sandbox_id
      WHERE expires_at < ${before} OR sandboxes.id IS NULL OR ended_at < ${before}
      LIMIT ${limit} FOR UPDATE OF revocations SKIP LOCKED
    ))`.execute(db);
  return Number(numAffectedRows);
}
