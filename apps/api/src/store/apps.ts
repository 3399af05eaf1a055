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
