// Signing keys of SandboxIO tokens. The private half is sealed before it comes here.
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import type { PublicJwk } from "./schema.ts";
import { KEYS_TOPIC } from "./topics.ts";

export interface NewSigningKey {
  readonly keyId: string;
  readonly masterKeyId: string;
  readonly publicJwk: PublicJwk;
  readonly sealedPrivateJwk: Buffer;
}

export async function insertSigningKey(db: Db, key: NewSigningKey): Promise<void> {
  await db
    .insertInto("signing_keys")
    .values({
      id: key.keyId,
      master_key_id: key.masterKeyId,
      public_jwk: JSON.stringify(key.publicJwk),
      sealed_private_jwk: key.sealedPrivateJwk,
      retired_at: null,
    })
    .returning(notifying(KEYS_TOPIC))
    .execute();
}

/** The newest key that this master key sealed. */
export async function findSigningKey(db: Db, masterKeyId: string): Promise<NewSigningKey | undefined> {
  const row = await db
    .selectFrom("signing_keys")
    .select(["id", "public_jwk", "sealed_private_jwk"])
    .where("master_key_id", "=", masterKeyId)
    .where("retired_at", "is", null)
    .orderBy("created_at", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return { keyId: row.id, masterKeyId, publicJwk: row.public_jwk, sealedPrivateJwk: row.sealed_private_jwk };
}

/** The public halves of all keys that tokens may still be signed with, oldest first. */
export async function listPublicKeys(db: Db): Promise<{ readonly keyId: string; readonly publicJwk: PublicJwk }[]> {
  const rows = await db
    .selectFrom("signing_keys")
    .select(["id", "public_jwk"])
    .where("retired_at", "is", null)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return rows.map((row) => ({ keyId: row.id, publicJwk: row.public_jwk }));
}
