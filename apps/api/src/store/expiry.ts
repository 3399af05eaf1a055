// What is forgotten after its time: idempotency keys, and ended sandboxes with all that hangs on them. In batches, so that
// no transaction is long and nobody waits for it.
import { sql } from "kysely";
import type { Db } from "./database.ts";
import { inTransaction } from "./database.ts";

/** Forgets at most so many keys that were used before this time; answers how many it was. */
export async function deleteIdempotencyKeys(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM idempotency_keys WHERE created_at < ${before} LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ))`.execute(db);
  return Number(numAffectedRows);
}

/** Forgets at most so many sandboxes that ended before this time, with their instances and events; answers how many it was. */
export async function deleteEndedSandboxes(db: Db, before: Date, limit: number): Promise<number> {
  return inTransaction(db, async (tx) => {
    const rows = await tx
      .selectFrom("sandboxes")
      .select("id")
      .where("ended_at", "<", before)
      .orderBy("ended_at")
      .limit(limit)
      .forUpdate()
      .skipLocked()
      .execute();
    if (rows.length === 0) return 0;
    const ids = rows.map((row) => row.id);
    await tx.deleteFrom("instances").where(sql<boolean>`sandbox_id = ANY (${ids})`).execute();
    await tx.deleteFrom("idempotency_keys").where(sql<boolean>`sandbox_id = ANY (${ids})`).execute();
    await tx.deleteFrom("sandboxes").where(sql<boolean>`id = ANY (${ids})`).execute(); // events go with them
    return ids.length;
  });
}
