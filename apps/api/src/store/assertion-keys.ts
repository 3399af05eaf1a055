// Public keys by which apps verify what edges assert to them.
import type { PublicJwk } from "@sallyport/connect-token/issue";
import { sql } from "kysely";
import type { Db } from "./database.ts";

/** Publishes a key of an edge that is known, or publishes it on; false where it is another edge's. */
export async function putAssertionKey(db: Db, edgeId: string, jwk: PublicJwk): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    INSERT INTO assertion_keys (id, edge_id, public_jwk, published_at)
    VALUES (${jwk.kid}, ${edgeId}, ${JSON.stringify(jwk)}, now())
    ON CONFLICT (id) DO UPDATE SET published_at = now() WHERE assertion_keys.edge_id = excluded.edge_id
    RETURNING id`.execute(db);
  return rows.length > 0;
}

/** Gives an edge's keys to another. */
export async function passAssertionKeys(db: Db, fromEdgeId: string, toEdgeId: string): Promise<void> {
  await db.updateTable("assertion_keys").set({ edge_id: toEdgeId }).where("edge_id", "=", fromEdgeId).execute();
}

/** Leaves an edge so many of its keys, those it published last. */
export async function trimAssertionKeys(db: Db, edgeId: string, kept: number): Promise<void> {
  await sql`
    DELETE FROM assertion_keys WHERE id = ANY (ARRAY(
      SELECT id FROM assertion_keys WHERE edge_id = ${edgeId} ORDER BY published_at DESC, id OFFSET ${kept}
    ))`.execute(db);
}

/** Those of all edges that were published since this time, oldest first. */
export async function listAssertionKeys(db: Db, since: Date): Promise<PublicJwk[]> {
  const rows = await db
    .selectFrom("assertion_keys")
    .select("public_jwk")
    .where("published_at", ">", since)
    .orderBy("published_at")
    .orderBy("id")
    .execute();
  return rows.map((row) => row.public_jwk);
}

/** Forgets those that were published last before this time; answers how many it was. */
export async function deleteOldAssertionKeys(db: Db, before: Date): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom("assertion_keys")
    .where("published_at", "<", before)
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}
