// What is true of the whole platform: so far, its id.
import type { Db } from "./database.ts";

/** Writes the platform's id if there is none, and returns the one that holds. */
export async function ensurePlatformId(db: Db, platformId: string): Promise<string> {
  await db
    .insertInto("settings")
    .values({ name: "platform_id", value: platformId })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const row = await db
    .selectFrom("settings")
    .select("value")
    .where("name", "=", "platform_id")
    .executeTakeFirstOrThrow();
  return row.value;
}
