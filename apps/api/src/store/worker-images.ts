// Images as their workers see them: what each is to make and keep, and what comes of it.
import { sql } from "kysely";
import type { ImageDefaults, ImageSource, ImageState } from "../domain/image.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { imageTopic } from "./topics.ts";

export interface WishedImage {
  readonly imageId: string;
  readonly workspaceId: string;
  readonly source: ImageSource;
  readonly digest: string | undefined;
}

/** Everything that a worker is to have. What no worker makes yet is given to the one that asks. */
export async function listWishedImages(db: Db, workerId: string): Promise<WishedImage[]> {
  await db
    .updateTable("workspace_images")
    .set({ worker_id: workerId })
    .where("worker_id", "is", null)
    .where("state", "=", "pending")
    .where("context_complete", "=", true)
    .where("deleted_at", "is", null)
    .execute();
  const rows = await db
    .selectFrom("workspace_images")
    .select(["id", "workspace_id", "source", "digest"])
    .where("worker_id", "=", workerId)
    .where("state", "in", ["pending", "building", "ready"])
    .where("deleted_at", "is", null)
    .orderBy("id")
    .execute();
  return rows.map((row) => ({
    imageId: row.id,
    workspaceId: row.workspace_id,
    source: row.source,
    digest: row.digest ?? undefined,
  }));
}

/** A making that this worker was given, locked; undefined when it was not. */
export async function lockMaking(
  db: Db,
  workerId: string,
  imageId: string,
): Promise<{ readonly state: ImageState; readonly logSize: number; readonly source: ImageSource } | undefined> {
  const row = await db
    .selectFrom("workspace_images")
    .select(["state", "log_size", "source"])
    .where("id", "=", imageId)
    .where("worker_id", "=", workerId)
    .where("deleted_at", "is", null)
    .forUpdate()
    .executeTakeFirst();
  return row === undefined ? undefined : { state: row.state, logSize: row.log_size, source: row.source };
}

export interface MakingChange {
  readonly state: ImageState;
  readonly digest: string | undefined;
  readonly size: number;
  readonly defaults: ImageDefaults | undefined;
  readonly error: string | undefined;
  /** A piece that continues the log. */
  readonly log: { readonly offset: number; readonly text: string } | undefined;
}

/** Writes what a worker told of a locked making. */
export async function writeMaking(db: Db, workerId: string, imageId: string, change: MakingChange): Promise<void> {
  const { log } = change;
  if (log !== undefined) {
    await db.insertInto("image_logs").values({ image_id: imageId, log_offset: log.offset, text: log.text }).execute();
  }
  await db
    .updateTable("workspace_images")
    .set({
      state: change.state,
      digest: change.digest ?? null,
      size: change.size,
      defaults: change.defaults === undefined ? null : JSON.stringify(change.defaults),
      error: change.error ?? null,
      ...(log === undefined ? {} : { log_size: sql<number>`log_size + octet_length(${log.text}::text)` }),
    })
    .where("id", "=", imageId)
    .returning(notifying(imageTopic(imageId)))
    .execute();
  await db.deleteFrom("images").where("worker_id", "=", workerId).where("name", "=", imageId).execute();
  if (change.digest === undefined) return;
  await db.insertInto("images").values({ worker_id: workerId, name: imageId, digest: change.digest }).execute();
}
