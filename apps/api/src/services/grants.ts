// Private space that the operator grants a workspace, and takes back: from running sandboxes too.
import { AppError } from "@sallyport/appkit/errors";
import { MAX_ALLOW_ENTRIES, PolicyError, parseGrants } from "@sallyport/policy";
import type { NetworkCause } from "../domain/network.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import type { NetworkPlace } from "../store/network.ts";
import { lockAllowListed, lockGrants, readGrants, wishNetwork, writeGrants } from "../store/network.ts";
import { workerTopic } from "../store/topics.ts";
import { findWorkspaceByName } from "../store/workspaces.ts";
import { checkLabel } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import { recompile } from "./network-policy.ts";

/** What a workspace is granted, and what the change came to. */
export interface GrantsChange {
  readonly cidrs: readonly string[];
  /** Living sandboxes that have other rules by it. */
  readonly sandboxes: number;
}

export async function listGrants(deps: ServiceDeps, workspace: string): Promise<readonly string[]> {
  return readGrants(await workspaceId(deps, workspace), deps.db);
}

/** Throws InvalidArgument for what is not private space, NotFound, ResourceExhausted. Granting twice changes nothing. */
export async function grantCidr(deps: ServiceDeps, workspace: string, text: string): Promise<GrantsChange> {
  const cidr = checkGrant(text);
  const id = await workspaceId(deps, workspace);
  return change(deps, id, "grant", (granted) => {
    if (granted.includes(cidr)) return granted;
    if (granted.length < MAX_ALLOW_ENTRIES) return [...granted, cidr];
    throw new AppError("ResourceExhausted", `a workspace is granted at most ${MAX_ALLOW_ENTRIES} CIDRs`, {
      hint: "grant one that contains several, and revoke those",
    });
  });
}

/** Throws NotFound for what was not granted by just this name. What a sandbox reached by it, it no longer reaches. */
export async function revokeCidr(deps: ServiceDeps, workspace: string, text: string): Promise<GrantsChange> {
  const cidr = checkGrant(text);
  const id = await workspaceId(deps, workspace);
  return change(deps, id, "revoke", (granted) => {
    if (granted.includes(cidr)) return granted.filter((one) => one !== cidr);
    throw new AppError("NotFound", `cidr: the workspace "${workspace}" is not granted ${cidr}`, {
      field: "cidr",
      hint: granted.length === 0 ? "it is granted nothing" : `it is granted ${granted.join(", ")}`,
    });
  });
}

async function change(
  deps: ServiceDeps,
  id: string,
  cause: NetworkCause,
  next: (granted: readonly string[]) => readonly string[],
): Promise<GrantsChange> {
  const { cidrs, moved } = await inTransaction(deps.db, async (tx) => {
    const before = await lockGrants(id, tx);
    const after = next(before);
    if (after === before) return { cidrs: after, moved: [] };
    await writeGrants(id, tx, after);
    return { cidrs: after, moved: await follow(tx, id, after, cause) };
  });
  for (const worker of new Set(moved.map(({ workerId }) => workerId))) deps.hub.wake(workerTopic(worker));
  return { cidrs, sandboxes: moved.length };
}

/** Numbers new rules for every living sandbox that the change concerns; answers with those. */
async function follow(tx: Db, id: string, grants: readonly string[], cause: NetworkCause): Promise<NetworkPlace[]> {
  const moved: NetworkPlace[] = [];
  for (const { policy, ...place } of await lockAllowListed(id, tx)) {
    const wanted = { policy, rules: recompile(policy, grants), cause };
    if ((await wishNetwork(id, tx, place, wanted)) !== undefined) moved.push(place);
  }
  return moved;
}

/** In canonical form. */
function checkGrant(text: string): string {
  try {
    const [cidr = text] = parseGrants([text], "cidr");
    return cidr;
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const message = error.message.replace("cidr[0]", "cidr");
    throw new AppError("InvalidArgument", message, { field: "cidr", hint: error.hint, cause: error });
  }
}

async function workspaceId(deps: ServiceDeps, name: string): Promise<string> {
  const workspace = await findWorkspaceByName(deps.db, checkLabel("workspace", name));
  if (workspace !== undefined) return workspace.id;
  throw new AppError("NotFound", `there is no workspace "${name}"`, { field: "workspace" });
}
