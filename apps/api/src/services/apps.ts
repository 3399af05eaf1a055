// Apps of one workspace.
import { AppError } from "@sallyport/appkit/errors";
import { MAX_APPS } from "../domain/limits.ts";
import type { AppRow } from "../store/apps.ts";
import { countApps, ensureApp, findApp } from "../store/apps.ts";
import { inTransaction } from "../store/database.ts";
import { checkLabel } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";

/**
 * The app of this name, made if it is missing and that is asked for. Otherwise throws NotFound; ResourceExhausted when
 * the workspace has as many as it may.
 */
export async function lookupApp(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly name: string; readonly createIfMissing: boolean },
): Promise<AppRow> {
  const name = checkLabel("name", request.name);
  const known = await findApp(workspaceId, deps.db, name);
  if (known !== undefined) return known;
  if (request.createIfMissing) return inTransaction(deps.db, (tx) => makeApp(workspaceId, tx, name));
  throw new AppError("NotFound", `there is no app "${name}"`, { field: "name", hint: "set create_if_missing" });
}

async function makeApp(workspaceId: string, tx: ServiceDeps["db"], name: string): Promise<AppRow> {
  const count = await countApps(workspaceId, tx);
  const known = await findApp(workspaceId, tx, name);
  if (known !== undefined) return known;
  if (count >= MAX_APPS) {
    throw new AppError("ResourceExhausted", `a workspace has at most ${MAX_APPS} apps`, {
      hint: "use one that is there",
    });
  }
  return ensureApp(workspaceId, tx, name);
}
