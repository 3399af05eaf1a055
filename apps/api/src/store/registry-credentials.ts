// Credentials of registries. Passwords are sealed before they come here.
import { sql } from "kysely";
import type { Db } from "./database.ts";

export interface RegistryCredentialRow {
  readonly registry: string;
  readonly username: string;
  readonly created_at: Date;
}

export interface SealedCredential {
  readonly username: string;
  readonly masterKeyId: string;
  readonly sealedPassword: Buffer;
}

export function putCredential(
  workspaceId: string,
  db: Db,
  credential: SealedCredential & { readonly registry: string },
): Promise<RegistryCredentialRow> {
  const values = {
    username: credential.username,
    master_key_id: credential.masterKeyId,
    sealed_password: credential.sealedPassword,
    created_at: sql<Date>`now()`,
  };
  return db
    .insertInto("registry_credentials")
    .values({ workspace_id: workspaceId, registry: credential.registry, ...values })
    .onConflict((conflict) => conflict.columns(["workspace_id", "registry"]).doUpdateSet(values))
    .returning(["registry", "username", "created_at"])
    .executeTakeFirstOrThrow();
}

export function listCredentials(workspaceId: string, db: Db): Promise<RegistryCredentialRow[]> {
  return db
    .selectFrom("registry_credentials")
    .select(["registry", "username", "created_at"])
    .where("workspace_id", "=", workspaceId)
    .orderBy("registry")
    .execute();
}

/** False where there was none. */
export async function deleteCredential(workspaceId: string, db: Db, registry: string): Promise<boolean> {
  const row = await db
    .deleteFrom("registry_credentials")
    .where("workspace_id", "=", workspaceId)
    .where("registry", "=", registry)
    .returning("registry")
    .executeTakeFirst();
  return row !== undefined;
}

export async function findCredential(
  workspaceId: string,
  db: Db,
  registry: string,
): Promise<SealedCredential | undefined> {
  const row = await db
    .selectFrom("registry_credentials")
    .select(["username", "master_key_id", "sealed_password"])
    .where("workspace_id", "=", workspaceId)
    .where("registry", "=", registry)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return { username: row.username, masterKeyId: row.master_key_id, sealedPassword: row.sealed_password };
}
