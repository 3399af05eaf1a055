// Idempotency keys: claimed in the transaction of the create that they name, and before anything else in it.
import { sql } from "kysely";
import type { Quota } from "../domain/quota.ts";
import type { Db } from "./database.ts";
import { QUOTA_COLUMNS, toQuota } from "./workspaces.ts";

/** What a create finds when it begins. */
export interface CreateStart {
  /** Whether the key is ours now; otherwise another create has committed with it. */
  readonly claimed: boolean;
  readonly grantedCidrs: readonly string[];
  readonly quota: Quota;
  /** The app asked for, where it exists. */
  readonly appId: string | undefined;
}

/** A create that has committed. */
export interface KnownCreate {
  readonly requestHash: Buffer;
  readonly sandboxId: string;
}

/**
 * Claims the key for a sandbox to be, and reads what the create needs of its workspace, in one round trip. While another
 * transaction holds the same key, this waits for its end. Until commit the workspace is locked, so that its creates come
 * one after the other and its quota and the names of its sandboxes hold.
 */
export async function claimKey(
  workspaceId: string,
  db: Db,
  claim: { readonly key: string; readonly requestHash: Buffer; readonly sandboxId: string; readonly appName: string },
): Promise<CreateStart> {
  const row = await db
    .with("claimed", (query) =>
      query
        .insertInto("idempotency_keys")
        .values({
          workspace_id: workspaceId,
          key: claim.key,
          request_hash: claim.requestHash,
          sandbox_id: claim.sandboxId,
        })
        .onConflict((conflict) => conflict.columns(["workspace_id", "key"]).doNothing())
        .returning("key"),
    )
    .selectFrom("workspaces")
    .leftJoin("apps", (join) =>
      join.onRef("apps.workspace_id", "=", "workspaces.id").on("apps.name", "=", claim.appName),
    )
    .select([
      ...QUOTA_COLUMNS,
      "granted_cidrs",
      "apps.id as app_id",
      sql<number>`(SELECT count(*) FROM claimed)`.as("claimed"),
    ])
    .where("workspaces.id", "=", workspaceId)
    .forNoKeyUpdate("workspaces")
    .executeTakeFirstOrThrow();
  const { granted_cidrs: grantedCidrs, app_id: appId } = row;
  return { claimed: row.claimed > 0, grantedCidrs, quota: toQuota(row), appId: appId ?? undefined };
}

/** The create that committed with this key. */
export async function findKey(workspaceId: string, db: Db, key: string): Promise<KnownCreate | undefined> {
  const row = await db
    .selectFrom("idempotency_keys")
    .select(["request_hash", "sandbox_id"])
    .where("workspace_id", "=", workspaceId)
    .where("key", "=", key)
    .executeTakeFirst();
  return row === undefined ? undefined : { requestHash: row.request_hash, sandboxId: row.sandbox_id };
}
