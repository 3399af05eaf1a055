// What a workspace may use, and uses.
import type { WorkspaceQuota } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { sdkError } from "./errors.ts";
import type { Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";

/** Bounds of a workspace, or what it uses of them. A bound that is 0 is none. */
export interface WorkspaceBounds {
  /** Living sandboxes. */
  readonly sandboxes: number;
  /** Processors of all living sandboxes. */
  readonly cpu: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Creates in any 60 s. */
  readonly createsPerMinute: number;
}

/** What a workspace may use, and uses. */
export interface WorkspaceUsage {
  readonly quota: WorkspaceBounds;
  readonly used: WorkspaceBounds;
}

export async function getUsage(connections: Connections, scope: Scope): Promise<WorkspaceUsage> {
  const { quota, used } = await connections.callApi(scope, ({ workspaces }, call) =>
    callUnary(workspaces, workspaces.getUsage, {}, call),
  );
  if (quota === undefined || used === undefined) throw sdkError("Internal", "the platform answered without a quota");
  return Object.freeze({ quota: toBounds(quota), used: toBounds(used) });
}

function toBounds({ sandboxes, cpuMillis, memoryMib, diskMib, createsPerMinute }: WorkspaceQuota): WorkspaceBounds {
  return Object.freeze({
    sandboxes,
    cpu: cpuMillis / 1_000,
    memoryMiB: memoryMib,
    diskMiB: diskMib,
    createsPerMinute,
  });
}
