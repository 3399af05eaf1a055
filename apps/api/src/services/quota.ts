// Quotas: judged in the transaction of the create, shown to the workspace, set by the operator.
import { AppError } from "@sallyport/appkit/errors";
import { MAX_QUOTA } from "../domain/limits.ts";
import type { Quota, QuotaDemand } from "../domain/quota.ts";
import { excessOf } from "../domain/quota.ts";
import type { Db } from "../store/database.ts";
import { findWorkspaceByName, readQuota, readUsage, writeQuota } from "../store/workspaces.ts";
import { checkLabel, checkNumber } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";

/** Throws ResourceExhausted when one more sandbox would pass a bound. The workspace is locked. */
export async function checkQuota(workspaceId: string, tx: Db, quota: Quota, demand: QuotaDemand): Promise<void> {
  const { used, createsFreeInMs } = await readUsage(workspaceId, tx, quota.createsPerMinute);
  const excess = excessOf(quota, used, demand);
  if (excess === undefined) return;
  const { name, limit, used: now, asked } = excess;
  const isRate = name === "creates_per_minute";
  const isSize = !isRate && name !== "sandboxes";
  const message = `the workspace's quota of ${name} is ${limit}: ${now} used${isSize ? `, ${asked} asked for` : ""}`;
  const cure = isRate
    ? "wait, or"
    : isSize
      ? `ask for less ${name}, end other sandboxes, or`
      : "end other sandboxes, or";
  throw new AppError("ResourceExhausted", message, {
    field: isSize ? name : undefined,
    hint: `${cure} have an operator raise it (sallyport workspace quota)`,
    retryAfterMs: isRate ? createsFreeInMs : undefined,
  });
}

/** What a workspace may use, and uses. */
export async function getUsage(
  workspaceId: string,
  deps: ServiceDeps,
): Promise<{ readonly quota: Quota; readonly used: Quota }> {
  const quota = await readQuota(workspaceId, deps.db);
  const { used } = await readUsage(workspaceId, deps.db, quota.createsPerMinute);
  return { quota, used };
}

/** Bounds to be set; those that are undefined stay. */
export type QuotaChange = { readonly [Name in keyof Quota]: number | undefined };

/** For the operator. What runs beyond a lowered bound goes on. Throws NotFound, InvalidArgument. */
export async function setWorkspaceQuota(deps: ServiceDeps, name: string, change: QuotaChange): Promise<Quota> {
  const fields = {
    sandboxes: "sandboxes",
    cpuMillis: "cpu_millis",
    memoryMiB: "memory_mib",
    diskMiB: "disk_mib",
    createsPerMinute: "creates_per_minute",
  } as const;
  const quota: { -readonly [Name in keyof Quota]?: number } = {};
  for (const key of Object.keys(fields) as (keyof Quota)[]) {
    const value = change[key];
    if (value !== undefined) quota[key] = checkNumber(fields[key], value, { min: 0, max: MAX_QUOTA, unset: 0 });
  }
  const workspace = await findWorkspaceByName(deps.db, checkLabel("workspace", name));
  if (workspace === undefined) {
    throw new AppError("NotFound", `there is no workspace "${name}"`, { field: "workspace" });
  }
  await writeQuota(workspace.id, deps.db, quota);
  return readQuota(workspace.id, deps.db);
}
