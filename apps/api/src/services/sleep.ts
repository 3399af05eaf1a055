// Putting a sandbox to sleep and waking it by hand: a wish with a generation, which its worker follows once.
import { AppError } from "@sallyport/appkit/errors";
import { hasFollowedSleep, wishSleep } from "../store/instances.ts";
import type { SandboxRecord } from "../store/sandboxes.ts";
import { sandboxTopic, workerTopic } from "../store/topics.ts";
import { checkWait } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import { getSandbox } from "./sandboxes.ts";
import { waitUntil } from "./wait-until.ts";

export interface SleepRequest {
  readonly sandboxId: string;
  readonly waitMs: number;
}

/**
 * Commits the wish that a running sandbox sleeps or wakes, and waits until its worker has followed it, or the sandbox
 * has ended, or the time is over; answers with the sandbox as it is then. Throws SandboxEnded, and FailedPrecondition
 * for one that has not started or is to end.
 */
export async function setAsleep(
  workspaceId: string,
  deps: ServiceDeps,
  request: SleepRequest,
  asleep: boolean,
  signal: AbortSignal,
): Promise<SandboxRecord> {
  const waitMs = checkWait(request.waitMs);
  const { sandboxId } = request;
  const record = await getSandbox(workspaceId, deps, sandboxId);
  const { instanceId, workerId } = record;
  const generation = await wishSleep(workspaceId, deps.db, { sandboxId, instanceId, workerId }, asleep);
  if (generation === undefined) throw notRunning(await getSandbox(workspaceId, deps, sandboxId));
  deps.hub.wake(workerTopic(workerId));
  const wait = { hub: deps.hub, clock: deps.clock, topic: sandboxTopic(sandboxId), waitMs, signal };
  await waitUntil(wait, async () => {
    const isDone = await hasFollowedSleep(workspaceId, deps.db, instanceId, generation);
    return isDone ? true : undefined;
  });
  return getSandbox(workspaceId, deps, sandboxId);
}

function notRunning({ sandbox }: SandboxRecord): AppError {
  const { id, state } = sandbox;
  if (state === "ended") return new AppError("SandboxEnded", `${id} has ended`, { field: "sandbox_id" });
  return new AppError("FailedPrecondition", `${id} is ${state}`, {
    field: "sandbox_id",
    hint: "only a running sandbox sleeps and wakes",
  });
}
