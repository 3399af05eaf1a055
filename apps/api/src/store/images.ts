// Images that workers say they can start from.
import type { Db } from "./database.ts";

export interface ImageRow {
  readonly name: string;
  readonly digest: string;
}

/** Makes a worker's images exactly these. */
export async function replaceImages(db: Db, workerId: string, images: readonly ImageRow[]): Promise<void> {
  // Those of workspaces it tells of one by one, as it makes them.
  await db.deleteFrom("images").where("worker_id", "=", workerId).where("name", "not like", OF_WORKSPACES).execute();
  if (images.length === 0) return;
  await db
    .insertInto("images")
    .values(images.map(({ name, digest }) => ({ worker_id: workerId, name, digest })))
    .execute();
}

const OF_WORKSPACES = "im-%";

/** The names of all images of the platform that some worker has. */
export async function listImageNames(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom("images")
    .select("name")
    .distinct()
    .where("name", "not like", OF_WORKSPACES)
    .orderBy("name")
    .limit(50)
    .execute();
  return rows.map((row) => row.name);
}
