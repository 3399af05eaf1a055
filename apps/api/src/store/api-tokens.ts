// API tokens: ids and hashes of secrets, never a secret.
import { newId } from "../domain/ids.ts";
import type { Db } from "./database.ts";

export interface ApiTokenRow {
  readonly id: string;
  readonly workspace_id: string;
  readonly workspace_name: string;
  readonly name: string;
  readonly created_at: Date;
  readonly revoked_at: Date | null;
}

/** What is needed to believe a caller. */
export interface ApiTokenProof {
  readonly workspace_id: string;
  readonly secret_hash: Buffer;
}

/** The id of a token to be. */
export function newApiTokenId(): string {
  return newId("apiToken");
}

export async function insertApiToken(
  workspaceId: string,
  db: Db,
  token: { readonly id: string; readonly name: string; readonly secretHash: Buffer },
): Promise<void> {
  const row = { id: token.id, workspace_id: workspaceId, name: token.name, secret_hash: token.secretHash };
  await db.insertInto("api_tokens").values(row).execute();
}

/** The hash to compare with; undefined for an unknown or a revoked token. The one look-up that precedes any workspace. */
export function findApiTokenProof(db: Db, id: string): Promise<ApiTokenProof | undefined> {
  return db
    .selectFrom("api_tokens")
    .select(["workspace_id", "secret_hash"])
    .where("id", "=", id)
    .where("revoked_at", "is", null)
    .executeTakeFirst();
}

/** For the operator: one token of any workspace. */
export function findApiToken(db: Db, id: string): Promise<ApiTokenRow | undefined> {
  return tokens(db).where("api_tokens.id", "=", id).executeTakeFirst();
}

/** For the operator: the tokens of one workspace or of all, newest first. */
export function listApiTokens(db: Db, workspaceId: string | undefined): Promise<ApiTokenRow[]> {
  const all = tokens(db).orderBy("api_tokens.id", "desc");
  return (workspaceId === undefined ? all : all.where("workspace_id", "=", workspaceId)).execute();
}

/** Revokes a token. A revoked one keeps its time. */
export async function revokeApiToken(db: Db, id: string): Promise<void> {
  await db
    .updateTable("api_tokens")
    .set((set) => ({ revoked_at: set.fn("now", []) }))
    .where("id", "=", id)
    .where("revoked_at", "is", null)
    .execute();
}

function tokens(db: Db) {
  return db
    .selectFrom("api_tokens")
    .innerJoin("workspaces", "workspaces.id", "api_tokens.workspace_id")
    .select([
      "api_tokens.id",
      "workspace_id",
      "workspaces.name as workspace_name",
      "api_tokens.name",
      "api_tokens.created_at",
      "revoked_at",
    ]);
}
