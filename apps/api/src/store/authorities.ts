// Certificate authorities of the platform's own. The private half is sealed before it comes here.
import { sql } from "kysely";
import type { Db } from "./database.ts";

export interface StoredAuthority {
  /** SHA-256 of the certificate, in hexadecimal. */
  readonly fingerprint: string;
  /** What it is for. */
  readonly name: string;
  readonly certificatePem: string;
  readonly masterKeyId: string;
  readonly sealedPrivateKey: Buffer;
  readonly expiresAt: Date;
}

/** Until commit no other process makes one. */
export async function lockAuthorities(tx: Db): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(hashtextextended('sallyport authorities', 0))`.execute(tx);
}

/** The newest of this name that this master key sealed, and that is good until after this time. */
export async function findAuthority(
  db: Db,
  wanted: { readonly name: string; readonly masterKeyId: string; readonly goodUntil: Date },
): Promise<StoredAuthority | undefined> {
  const row = await db
    .selectFrom("authorities")
    .selectAll()
    .where("name", "=", wanted.name)
    .where("master_key_id", "=", wanted.masterKeyId)
    .where("expires_at", ">", wanted.goodUntil)
    .orderBy("created_at", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    fingerprint: row.fingerprint,
    name: row.name,
    certificatePem: row.certificate_pem,
    masterKeyId: row.master_key_id,
    sealedPrivateKey: row.sealed_private_key,
    expiresAt: row.expires_at,
  };
}

export async function insertAuthority(db: Db, authority: StoredAuthority): Promise<void> {
  await db
    .insertInto("authorities")
    .values({
      fingerprint: authority.fingerprint,
      name: authority.name,
      certificate_pem: authority.certificatePem,
      master_key_id: authority.masterKeyId,
      sealed_private_key: authority.sealedPrivateKey,
      expires_at: authority.expiresAt,
    })
    .execute();
}
