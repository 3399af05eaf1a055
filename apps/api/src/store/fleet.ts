// The addresses that are the machines' own.
import { sql } from "kysely";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { FLEET_TOPIC } from "./topics.ts";

/** Those of every worker that was ever registered, sorted, each once. A machine that is silent is still there. */
export async function listFleet(db: Db): Promise<string[]> {
  const { rows } = await sql<{ cidr: string }>`
    SELECT DISTINCT cidr COLLATE "C" AS cidr FROM workers, unnest(addresses) AS cidr ORDER BY cidr`.execute(db);
  return rows.map(({ cidr }) => cidr);
}

/** Writes one worker's, in canonical order; true when they are others than before, and then all workers are woken. */
export async function writeAddresses(db: Db, workerId: string, cidrs: readonly string[]): Promise<boolean> {
  const rows = await db
    .updateTable("workers")
    .set({ addresses: [...cidrs] })
    .where("id", "=", workerId)
    .where(sql<boolean>`addresses <> ${[...cidrs]}::text[]`)
    .returning(notifying(FLEET_TOPIC))
    .execute();
  return rows.length > 0;
}
