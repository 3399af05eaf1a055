// Keys of connect tokens. The private half is sealed before it comes here. Triggers tell edges what is published.
import type { PublicJwk } from "@sallyport/connect-token/issue";
import { sql } from "kysely";
import type { Db } from "./database.ts";

export interface NewConnectKey {
  readonly keyId: string;
  readonly masterKeyId: string;
  readonly publicJwk: PublicJwk;
  readonly sealedPrivateJwk: Buffer;
}

/** A key as it is published. */
export interface ConnectKeyRow {
  readonly keyId: string;
  readonly masterKeyId: string;
  readonly publicJwk: PublicJwk;
  readonly createdAt: Date;
  readonly signsFrom: Date;
  /** When it goes, once another signs. */
  readonly retiredAt: Date | undefined;
  /** Of those of its master key it signs now. */
  readonly isSigning: boolean;
}

/** Until commit no other process makes or retires keys. */
export async function lockConnectKeys(tx: Db): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(hashtextextended('sallyport connect keys', 0))`.execute(tx);
}

/** All that are published, oldest first. */
export async function listConnectKeys(db: Db): Promise<ConnectKeyRow[]> {
  const rows = await db
    .selectFrom("connect_keys as key")
    .select(["id", "master_key_id", "public_jwk", "created_at", "signs_from", "retired_at"])
    .select(
      sql<boolean>`id = (
        SELECT other.id FROM connect_keys AS other
        WHERE other.master_key_id = key.master_key_id AND other.signs_from <= now()
        ORDER BY other.signs_from DESC, other.id DESC LIMIT 1
      )`.as("signing"),
    )
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return rows.map((row) => ({
    keyId: row.id,
    masterKeyId: row.master_key_id,
    publicJwk: row.public_jwk,
    createdAt: row.created_at,
    signsFrom: row.signs_from,
    retiredAt: row.retired_at ?? undefined,
    isSigning: row.signing === true,
  }));
}

/** Writes a key that signs after so long. */
export async function insertConnectKey(db: Db, key: NewConnectKey, noticeMs: number): Promise<void> {
  await db
    .insertInto("connect_keys")
    .values({
      id: key.keyId,
      master_key_id: key.masterKeyId,
      public_jwk: JSON.stringify(key.publicJwk),
      sealed_private_jwk: key.sealedPrivateJwk,
      signs_from: sql<Date>`now() + ${noticeMs} * interval '1 millisecond'`,
    })
    .execute();
}

/** Lets a key sign now that was to sign later. */
export async function startSigning(db: Db, keyId: string): Promise<void> {
  await db
    .updateTable("connect_keys")
    .set({ signs_from: sql<Date>`now()` })
    .where("id", "=", keyId)
    .where("signs_from", ">", sql<Date>`now()`)
    .execute();
}

/** Says when keys go that sign no more: so long from now, those of this master key but for one, where it is not said yet. */
export async function retireOthers(
  db: Db,
  kept: { readonly keyId: string; readonly masterKeyId: string },
  afterMs: number,
): Promise<void> {
  await db
    .updateTable("connect_keys")
    .set({ retired_at: sql<Date>`now() + ${afterMs} * interval '1 millisecond'` })
    .where("master_key_id", "=", kept.masterKeyId)
    .where("id", "<>", kept.keyId)
    .where("retired_at", "is", null)
    .execute();
}

/** The same for keys of other master keys that are older than they get: whoever signed with them is gone. */
export async function retireAbandoned(
  db: Db,
  masterKeyId: string,
  times: { readonly olderThanMs: number; readonly afterMs: number },
): Promise<void> {
  await db
    .updateTable("connect_keys")
    .set({ retired_at: sql<Date>`now() + ${times.afterMs} * interval '1 millisecond'` })
    .where("master_key_id", "<>", masterKeyId)
    .where("retired_at", "is", null)
    .where(sql<boolean>`created_at < now() - ${times.olderThanMs} * interval '1 millisecond'`)
    .execute();
}

/** The sealed private half of a key that this master key sealed. */
export async function findSealedKey(db: Db, masterKeyId: string, keyId: string): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom("connect_keys")
    .select("sealed_private_jwk")
    .where("id", "=", keyId)
    .where("master_key_id", "=", masterKeyId)
    .executeTakeFirst();
  return row?.sealed_private_jwk;
}

/** Takes out keys whose time was over before this time; answers how many it was. */
export async function deleteRetiredKeys(db: Db, before: Date): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom("connect_keys")
    .where("retired_at", "<", before)
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}
