// Workspaces: the tenants, with what they may use and use.
import { sql } from "kysely";
import { newId } from "../domain/ids.ts";
import type { Quota } from "../domain/quota.ts";
import { CREATE_WINDOW_MS, DEFAULT_QUOTA } from "../domain/quota.ts";
import type { Db } from "./database.ts";

export interface WorkspaceRow {
  readonly id: string;
  readonly name: string;
  readonly created_at: Date;
}

const COLUMNS = ["id", "name", "created_at"] as const;

/** Makes a workspace; undefined when the name is taken. */
export function insertWorkspace(db: Db, name: string): Promise<WorkspaceRow | undefined> {
  return db
    .insertInto("workspaces")
    .values({ id: newId("workspace"), name })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returning(COLUMNS)
    .executeTakeFirst();
}

/** All of them, by name. */
export function listWorkspaces(db: Db): Promise<WorkspaceRow[]> {
  return db.selectFrom("workspaces").select(COLUMNS).orderBy("name").execute();
}

/** The workspace of this name. */
export function findWorkspaceByName(db: Db, name: string): Promise<WorkspaceRow | undefined> {
  return db.selectFrom("workspaces").select(COLUMNS).where("name", "=", name).executeTakeFirst();
}

/** The columns that {@link toQuota} reads. */
export const QUOTA_COLUMNS = [
  "quota_sandboxes",
  "quota_cpu_millis",
  "quota_memory_mib",
  "quota_disk_mib",
  "quota_creates_per_minute",
] as const;

/** A quota from its columns: the operator's word, or else the platform's default. */
export function toQuota(row: { readonly [Column in (typeof QUOTA_COLUMNS)[number]]: number | null }): Quota {
  return {
    sandboxes: row.quota_sandboxes ?? DEFAULT_QUOTA.sandboxes,
    cpuMillis: row.quota_cpu_millis ?? DEFAULT_QUOTA.cpuMillis,
    memoryMiB: row.quota_memory_mib ?? DEFAULT_QUOTA.memoryMiB,
    diskMiB: row.quota_disk_mib ?? DEFAULT_QUOTA.diskMiB,
    createsPerMinute: row.quota_creates_per_minute ?? DEFAULT_QUOTA.createsPerMinute,
  };
}

export async function readQuota(workspaceId: string, db: Db): Promise<Quota> {
  const query = db.selectFrom("workspaces").select(QUOTA_COLUMNS).where("id", "=", workspaceId);
  return toQuota(await query.executeTakeFirstOrThrow());
}

/** Sets these bounds of a workspace, and leaves the others. */
export async function writeQuota(workspaceId: string, db: Db, quota: Partial<Quota>): Promise<void> {
  const columns = Object.fromEntries(
    Object.entries({
      quota_sandboxes: quota.sandboxes,
      quota_cpu_millis: quota.cpuMillis,
      quota_memory_mib: quota.memoryMiB,
      quota_disk_mib: quota.diskMiB,
      quota_creates_per_minute: quota.createsPerMinute,
    }).filter(([, value]) => value !== undefined),
  );
  if (Object.keys(columns).length === 0) return;
  await db.updateTable("workspaces").set(columns).where("id", "=", workspaceId).execute();
}

/** Sets whether tokens of a workspace may carry user data for ports of tunnels, unless undefined; answers with what holds. */
export async function writeRefusesUserData(
  workspaceId: string,
  db: Db,
  refuses: boolean | undefined,
): Promise<boolean> {
  const row = await db
    .updateTable("workspaces")
    .set({
      refuses_user_data_at_tunnels: sql<boolean>`coalesce(${refuses ?? null}::boolean, refuses_user_data_at_tunnels)`,
    })
    .where("id", "=", workspaceId)
    .returning("refuses_user_data_at_tunnels")
    .executeTakeFirstOrThrow();
  return row.refuses_user_data_at_tunnels;
}

/** What a workspace uses of its quota, and when the oldest create leaves the window that its creates per minute fill. */
export interface Usage {
  readonly used: Quota;
  /** Until then another create passes the bound; undefined while there is room. */
  readonly createsFreeInMs: number | undefined;
}

/** Counted anew each time: with the workspace locked, it holds until commit. */
export async function readUsage(workspaceId: string, db: Db, createsPerMinute: number): Promise<Usage> {
  const { rows } = await sql<{
    sandboxes: number;
    cpu_millis: number;
    memory_mib: number;
    disk_mib: number;
    creates: number;
    free_in_ms: number | null;
  }>`
    SELECT count(*) AS sandboxes, coalesce(sum(cpu_millis), 0)::bigint AS cpu_millis,
      coalesce(sum(memory_mib), 0)::bigint AS memory_mib, coalesce(sum(disk_mib), 0)::bigint AS disk_mib,
      (SELECT count(*) FROM ${recentCreates(workspaceId)}) AS creates,
      (SELECT ${CREATE_WINDOW_MS} - extract(epoch FROM clock_timestamp() - created_at)::float8 * 1000
        FROM ${recentCreates(workspaceId)} ORDER BY created_at DESC OFFSET ${Math.max(0, createsPerMinute - 1)} LIMIT 1
      ) AS free_in_ms
    FROM sandboxes WHERE workspace_id = ${workspaceId} AND ended_at IS NULL`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("a count has no row");
  return {
    used: {
      sandboxes: row.sandboxes,
      cpuMillis: row.cpu_millis,
      memoryMiB: row.memory_mib,
      diskMiB: row.disk_mib,
      createsPerMinute: row.creates,
    },
    createsFreeInMs: row.free_in_ms === null ? undefined : Math.max(1, Math.ceil(row.free_in_ms)),
  };
}

function recentCreates(workspaceId: string) {
  return sql`(
    SELECT created_at FROM sandboxes
    WHERE workspace_id = ${workspaceId}
      AND created_at > clock_timestamp() - ${sql.lit(CREATE_WINDOW_MS)} * interval '1 millisecond'
  ) AS recent`;
}
