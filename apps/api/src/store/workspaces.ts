// Workspaces: the tenants.
import { newId } from "../domain/ids.ts";
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
