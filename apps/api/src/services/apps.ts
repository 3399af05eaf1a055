// Apps of one workspace.
import { AppError } from "@sallyport/appkit/errors";
import type { AppRow } from "../store/apps.ts";
import { ensureApp, findApp } from "../store/apps.ts";
import { checkLabel } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";

/** The app of this name, made if it is missing and that is asked for. Otherwise throws NotFound. */
export async function lookupApp(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly name: string; readonly createIfMissing: boolean },
): Promise<AppRow> {
  const name = checkLabel("name", request.name);
  const known = await findApp(workspaceId, deps.db, name);
  if (known !== undefined) return known;
  if (request.createIfMissing) return ensureApp(workspaceId, deps.db, name);
  throw new AppError("NotFound", `there is no app "${name}"`, { field: "name", hint: "set create_if_missing" });
}
