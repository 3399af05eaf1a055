// What the operator manages: workspaces, API tokens, the platform as the api sees it.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { newToken } from "../domain/api-token.ts";
import { MAX_API_TOKEN_NAME_CHARACTERS } from "../domain/limits.ts";
import { characterCount, hasControlCharacters } from "../domain/names.ts";
import type { ApiTokenRow } from "../store/api-tokens.ts";
import { findApiToken, insertApiToken, listApiTokens, newApiTokenId, revokeApiToken } from "../store/api-tokens.ts";
import { countLivingSandboxes } from "../store/sandboxes.ts";
import type { WorkerStatusRow } from "../store/workers.ts";
import { listWorkers } from "../store/workers.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import { findWorkspaceByName, insertWorkspace, listWorkspaces, writeRefusesUserData } from "../store/workspaces.ts";
import { checkId, checkLabel } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";

/** Throws AlreadyExists for a name that is taken. */
export async function createWorkspace(deps: ServiceDeps, name: string): Promise<WorkspaceRow> {
  const made = await insertWorkspace(deps.db, checkLabel("name", name));
  if (made !== undefined) return made;
  throw new AppError("AlreadyExists", `name: there is a workspace "${name}" already`, { field: "name" });
}

export function allWorkspaces(deps: ServiceDeps): Promise<WorkspaceRow[]> {
  return listWorkspaces(deps.db);
}

/** A token for a workspace, with its text, which nobody can see again. */
export async function createApiToken(
  deps: ServiceDeps,
  request: { readonly workspaceName: string; readonly name: string },
): Promise<{ readonly row: ApiTokenRow; readonly text: string }> {
  const { name } = request;
  if (characterCount(name) > MAX_API_TOKEN_NAME_CHARACTERS || hasControlCharacters(name)) {
    const rule = `must have at most ${MAX_API_TOKEN_NAME_CHARACTERS} characters and no control character`;
    throw invalidArgument("name", rule);
  }
  const workspace = await workspaceNamed(deps, request.workspaceName);
  const id = newApiTokenId();
  const { text, secretHash } = newToken(id);
  await insertApiToken(workspace.id, deps.db, { id, name, secretHash });
  return { row: await apiTokenById(deps, id), text };
}

/** The tokens of one workspace or of all, newest first. */
export async function allApiTokens(deps: ServiceDeps, workspaceName: string | undefined): Promise<ApiTokenRow[]> {
  const workspace = workspaceName === undefined ? undefined : await workspaceNamed(deps, workspaceName);
  return listApiTokens(deps.db, workspace?.id);
}

/** From the answer on no call with this token is taken. Revoking a revoked one changes nothing. */
export async function revokeToken(deps: ServiceDeps, id: string): Promise<ApiTokenRow> {
  await revokeApiToken(deps.db, checkId("apiToken", "api_token_id", id));
  return apiTokenById(deps, id);
}

/** What connect tokens of a workspace may be; what is undefined stays. Throws NotFound, InvalidArgument. */
export async function setTokenRules(
  deps: ServiceDeps,
  request: { readonly workspace: string; readonly refuseUserMetadataAtTunnels?: boolean | undefined },
): Promise<{ readonly refuseUserMetadataAtTunnels: boolean }> {
  const { id } = await workspaceNamed(deps, request.workspace, "workspace");
  return {
    refuseUserMetadataAtTunnels: await writeRefusesUserData(id, deps.db, request.refuseUserMetadataAtTunnels),
  };
}

export interface PlatformStatus {
  readonly platformId: string;
  readonly livingSandboxes: number;
  readonly workers: readonly WorkerStatusRow[];
}

export async function platformStatus(deps: ServiceDeps): Promise<PlatformStatus> {
  const [livingSandboxes, workers] = await Promise.all([countLivingSandboxes(deps.db), listWorkers(deps.db)]);
  return { platformId: deps.platformId, livingSandboxes, workers };
}

async function workspaceNamed(deps: ServiceDeps, name: string, field = "workspace_name"): Promise<WorkspaceRow> {
  const workspace = await findWorkspaceByName(deps.db, checkLabel(field, name));
  if (workspace !== undefined) return workspace;
  throw new AppError("NotFound", `there is no workspace "${name}"`, { field });
}

async function apiTokenById(deps: ServiceDeps, id: string): Promise<ApiTokenRow> {
  const row = await findApiToken(deps.db, id);
  if (row !== undefined) return row;
  throw new AppError("NotFound", `there is no API token ${id}`, { field: "api_token_id" });
}
