// Apps: named groups of sandboxes within a workspace.
import { newId } from "../domain/ids.ts";
import type { Db } from "./database.ts";

export interface AppRow {
  readonly id: string;
  readonly name: string;
}

/** The app of this name in this workspace. */
export function findApp(workspaceId: string, db: Db, name: string): Promise<AppRow | undefined> {
  return db
    .selectFrom("apps")
    .select(["id", "name"])
    .where("workspace_id", "=", workspaceId)
    .where("name", "=", name)
    .executeTakeFirst();
}

/** How many apps a workspace has. It is locked until commit, so that two at once do not both find room for one. */
export async function countApps(workspaceId: string, tx: Db): Promise<number> {
  await tx.selectFrom("workspaces").select("id").where("id", "=", workspaceId).forNoKeyUpdate().execute();
  const row = await tx
    .selectFrom("apps")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("workspace_id", "=", workspaceId)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** The app of this name, made if it is missing. */
export async function ensureApp(workspaceId: string, db: Db, name: string): Promise<AppRow> {
  const made = await db
    .insertInto("apps")
    .values({ id: newId("app"), workspace_id: workspaceId, name })
    .onConflict((conflict) => conflict.columns(["workspace_id", "name"]).doNothing())
    .returning(["id", "name"])
    .executeTakeFirst();
  if (made !== undefined) return made;
  const known = await findApp(workspaceId, db, name);
  if (known === undefined) throw new Error("an app is neither new nor known");
  return known;
}
