// What a database holds from the first start on: the platform's id and the default workspace.
import { DEFAULT_WORKSPACE_NAME } from "../domain/limits.ts";
import type { Db } from "../store/database.ts";
import { ensurePlatformId } from "../store/settings.ts";
import { insertWorkspace } from "../store/workspaces.ts";

/** Makes what is missing. Rejects when the database is another platform's. */
export async function ensurePlatform(db: Db, platformId: string): Promise<void> {
  const known = await ensurePlatformId(db, platformId);
  if (known !== platformId) {
    throw new Error(`this database belongs to the platform ${known}; SALLYPORT_PLATFORM_ID says ${platformId}`);
  }
  await insertWorkspace(db, DEFAULT_WORKSPACE_NAME);
}
