// Another policy for a sandbox (law 18): committed as its newest, then the call waits until the kernel of its machine has it.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { NETWORK_WAIT_MS } from "../domain/limits.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import { holdGrants, lockNetworkState, readNetworkState, wishNetwork } from "../store/network.ts";
import type { SandboxRecord } from "../store/sandboxes.ts";
import { sandboxTopic, workerTopic } from "../store/topics.ts";
import type { ServiceDeps } from "./deps.ts";
import { assertMode, judgePolicy } from "./network-policy.ts";
import { checkStillReached } from "./resolvers.ts";
import { getSandbox } from "./sandboxes.ts";
import { waitUntil } from "./wait-until.ts";

export interface UpdateNetworkRequest {
  readonly sandboxId: string;
  /** As for a create; undefined where the request has none. */
  readonly network: unknown;
}

/**
 * Gives a sandbox another policy, and answers once its kernel has this one or a later one. Of updates at once the last
 * to commit wins. Throws InvalidArgument, SandboxEnded, FailedPrecondition for one that is to end, and Unavailable when
 * the kernel has not got it in time: then it is kept, and applied as soon as can be.
 */
export async function updateNetwork(
  workspaceId: string,
  deps: ServiceDeps,
  request: UpdateNetworkRequest,
  signal: AbortSignal,
): Promise<SandboxRecord> {
  const record = await getSandbox(workspaceId, deps, request.sandboxId);
  if (request.network === undefined) throw invalidArgument("network", "is missing", "use open, blocked or allow");
  assertMode(request.network);
  const generation = await inTransaction(deps.db, (tx) => commit(workspaceId, tx, record, request.network));
  deps.hub.wake(workerTopic(record.workerId));
  deps.hub.wake(sandboxTopic(record.sandbox.id));
  await awaitApplied(workspaceId, deps, record, generation, signal);
  return getSandbox(workspaceId, deps, request.sandboxId);
}

async function commit(workspaceId: string, tx: Db, record: SandboxRecord, network: unknown): Promise<number> {
  const { sandbox, instanceId, workerId } = record;
  // In the order in which everybody locks: workspace, instance, sandbox.
  const grants = await holdGrants(workspaceId, tx);
  const { policy, rules } = judgePolicy(network, grants);
  await checkStillReached(tx, policy, grants, sandbox.dns);
  const state = await lockNetworkState(workspaceId, tx, instanceId);
  if (state === undefined || state.observed === "ended") throw hasEnded(sandbox.id);
  if (state.wish === "stop") {
    throw new AppError("FailedPrecondition", `${sandbox.id} is stopping`, { field: "sandbox_id" });
  }
  const place = { sandboxId: sandbox.id, instanceId, workerId };
  return (await wishNetwork(workspaceId, tx, place, { policy, rules, cause: "update" })) ?? state.wished;
}

async function awaitApplied(
  workspaceId: string,
  deps: ServiceDeps,
  { sandbox, instanceId }: SandboxRecord,
  generation: number,
  signal: AbortSignal,
): Promise<void> {
  const { hub, clock } = deps;
  const wait = { hub, clock, topic: sandboxTopic(sandbox.id), waitMs: NETWORK_WAIT_MS, signal };
  const isApplied = await waitUntil(wait, async () => {
    const state = await readNetworkState(workspaceId, deps.db, instanceId);
    if (state === undefined || state.observed === "ended") throw hasEnded(sandbox.id);
    return state.applied >= generation ? true : undefined;
  });
  if (isApplied === true) return;
  throw new AppError("Unavailable", `${sandbox.id}: its machine does not have the policy yet`, {
    field: "network",
    hint: "the policy is kept and applied as soon as can be; until then the one before holds. The same call waits on",
    retryAfterMs: 1_000,
  });
}

function hasEnded(sandboxId: string): AppError {
  return new AppError("SandboxEnded", `${sandboxId} has ended`, { field: "sandbox_id" });
}
