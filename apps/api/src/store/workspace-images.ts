// Images of workspaces and the logs of their making.
import { sql } from "kysely";
import { newId } from "../domain/ids.ts";
import type { ImageDefaults, ImageSource, ImageState, WorkspaceImage } from "../domain/image.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { imageTopic, workerTopic } from "./topics.ts";

const COLUMNS = [
  "id",
  "workspace_id",
  "state",
  "source",
  "context_complete",
  "worker_id",
  "digest",
  "size",
  "defaults",
  "error",
  "log_size",
  "created_at",
] as const;

interface Row {
  readonly id: string;
  readonly workspace_id: string;
  readonly state: ImageState;
  readonly source: ImageSource;
  readonly context_complete: boolean;
  readonly worker_id: string | null;
  readonly digest: string | null;
  readonly size: number;
  readonly defaults: ImageDefaults | null;
  readonly error: string | null;
  readonly log_size: number;
  readonly created_at: Date;
}

function imageOf(row: Row): WorkspaceImage {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    state: row.state,
    source: row.source,
    contextComplete: row.context_complete,
    workerId: row.worker_id ?? undefined,
    digest: row.digest ?? undefined,
    size: row.size,
    defaults: row.defaults ?? undefined,
    error: row.error ?? undefined,
    logSize: row.log_size,
    createdAt: row.created_at,
  };
}

export async function insertImage(
  workspaceId: string,
  db: Db,
  image: { readonly source: ImageSource; readonly sourceHash: Buffer; readonly contextComplete: boolean },
): Promise<WorkspaceImage> {
  const row = await db
    .insertInto("workspace_images")
    .values({
      id: newId("image"),
      workspace_id: workspaceId,
      state: "pending",
      source: JSON.stringify(image.source),
      source_hash: image.sourceHash,
      context_complete: image.contextComplete,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
  return imageOf(row);
}

/** One that was made from the same source, or is on its way. */
export async function findImageOfSource(
  workspaceId: string,
  db: Db,
  sourceHash: Buffer,
): Promise<WorkspaceImage | undefined> {
  const row = await db
    .selectFrom("workspace_images")
    .select(COLUMNS)
    .where("workspace_id", "=", workspaceId)
    .where("source_hash", "=", sourceHash)
    .where("state", "in", ["pending", "building", "ready"])
    .where("deleted_at", "is", null)
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : imageOf(row);
}

export async function findImage(workspaceId: string, db: Db, id: string): Promise<WorkspaceImage | undefined> {
  const row = await db
    .selectFrom("workspace_images")
    .select(COLUMNS)
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row === undefined ? undefined : imageOf(row);
}

/** Newest first. */
export async function listImages(
  workspaceId: string,
  db: Db,
  options: { readonly beforeId: string | undefined; readonly limit: number },
): Promise<WorkspaceImage[]> {
  const rows = await db
    .selectFrom("workspace_images")
    .select(COLUMNS)
    .where("workspace_id", "=", workspaceId)
    .where("deleted_at", "is", null)
    .$if(options.beforeId !== undefined, (query) => query.where("id", "<", options.beforeId ?? ""))
    .orderBy("id", "desc")
    .limit(options.limit)
    .execute();
  return rows.map(imageOf);
}

/** How many a workspace has, and what is unfinished among them. Locks the workspace: two at once count one after the other. */
export async function countImages(
  workspaceId: string,
  db: Db,
): Promise<{ readonly images: number; readonly making: number; readonly contextBytes: number }> {
  await db.selectFrom("workspaces").select("id").where("id", "=", workspaceId).forUpdate().execute();
  const row = await db
    .selectFrom("workspace_images")
    .select(({ fn }) => [
      fn.countAll<number>().as("images"),
      sql<number>`count(*) FILTER (WHERE state IN ('pending', 'building'))`.as("making"),
      sql<number>`coalesce(sum((source->>'contextSize')::bigint) FILTER (WHERE state IN ('pending', 'building')), 0)::bigint`.as(
        "context_bytes",
      ),
    ])
    .where("workspace_id", "=", workspaceId)
    .where("deleted_at", "is", null)
    .executeTakeFirstOrThrow();
  return { images: row.images, making: row.making, contextBytes: row.context_bytes };
}

/** All of its context is there. */
export async function completeContext(workspaceId: string, db: Db, id: string): Promise<void> {
  await db
    .updateTable("workspace_images")
    .set({ context_complete: true })
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", id)
    .execute();
}

/** Ends the making of one that is under way; false where it is not. */
export async function endMaking(
  workspaceId: string,
  db: Db,
  id: string,
  end: { readonly state: "cancelled" | "failed"; readonly error: string | null },
): Promise<boolean> {
  const row = await db
    .updateTable("workspace_images")
    .set(end)
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", id)
    .where("state", "in", ["pending", "building"])
    .returning(["worker_id", notifying(imageTopic(id))])
    .executeTakeFirst();
  if (row !== undefined && row.worker_id !== null) await tellWorker(db, row.worker_id);
  return row !== undefined;
}

/** Gives it up; a making that is under way is cancelled. */
export async function deleteImage(workspaceId: string, db: Db, id: string): Promise<void> {
  await endMaking(workspaceId, db, id, { state: "cancelled", error: null });
  const row = await db
    .updateTable("workspace_images")
    .set({ deleted_at: sql<Date>`now()` })
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", id)
    .returning(["worker_id", notifying(imageTopic(id))])
    .executeTakeFirst();
  await db.deleteFrom("images").where("name", "=", id).execute();
  if (row !== undefined && row.worker_id !== null) await tellWorker(db, row.worker_id);
}

async function tellWorker(db: Db, workerId: string): Promise<void> {
  await db.selectNoFrom(notifying(workerTopic(workerId))).execute();
}

/** Pieces of the log that end beyond an offset, in order; a bounded number. */
export async function readLog(
  db: Db,
  imageId: string,
  offset: number,
): Promise<{ readonly offset: number; readonly text: string }[]> {
  const rows = await db
    .selectFrom("image_logs")
    .select(["log_offset", "text"])
    .where("image_id", "=", imageId)
    .where(sql<boolean>`log_offset + octet_length(text) > ${offset}`)
    .orderBy("log_offset")
    .limit(50)
    .execute();
  return rows.map((row) => ({ offset: row.log_offset, text: row.text }));
}

/** Images whose context nobody has completed since. */
export async function listAbandoned(
  db: Db,
  before: Date,
): Promise<{ readonly id: string; readonly workspaceId: string }[]> {
  const rows = await db
    .selectFrom("workspace_images")
    .select(["id", "workspace_id"])
    .where("state", "=", "pending")
    .where("context_complete", "=", false)
    .where("created_at", "<", before)
    .limit(100)
    .execute();
  return rows.map((row) => ({ id: row.id, workspaceId: row.workspace_id }));
}

/** Forgets at most so many images that were given up before this time, with their logs; answers how many it was. */
export async function forgetImages(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    DELETE FROM workspace_images WHERE id = ANY (ARRAY(
      SELECT id FROM workspace_images WHERE deleted_at < ${before} ORDER BY deleted_at LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    ))`.execute(db);
  return Number(numAffectedRows);
}

/** Which of these are still wanted with their context. */
export async function listUnfinished(db: Db, ids: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom("workspace_images")
    .select("id")
    .where(sql<boolean>`id = ANY (${ids})`)
    .where("state", "in", ["pending", "building"])
    .execute();
  return rows.map((row) => row.id);
}

/** The last few pieces of a log. */
export async function readLogEnd(db: Db, imageId: string): Promise<string> {
  const rows = await db
    .selectFrom("image_logs")
    .select("text")
    .where("image_id", "=", imageId)
    .orderBy("log_offset", "desc")
    .limit(5)
    .execute();
  return rows
    .map((row) => row.text)
    .reverse()
    .join("")
    .slice(-4_000);
}
