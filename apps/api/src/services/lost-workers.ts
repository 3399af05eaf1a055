// Giving a worker up: its sandboxes end as lost, and should it come back, it is told to stop what it still has of them.
import { AppError } from "@sallyport/appkit/errors";
import { applyLoss } from "../domain/instance-state.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import { lockObserved, writeObserved } from "../store/instances.ts";
import { appendEvents } from "../store/sandbox-events.ts";
import { sandboxTopic } from "../store/topics.ts";
import type { LockedWorker } from "../store/workers.ts";
import { listWorkers, lockWorker, markWorker } from "../store/workers.ts";
import { checkId } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import { endOf } from "./worker-reports.ts";

/** Ends all that lives on a locked worker as lost; answers with the sandboxes. */
export async function giveUp(tx: Db, workerId: string): Promise<string[]> {
  await markWorker(tx, workerId, "lost");
  const at = new Date();
  const ended: string[] = [];
  for (const instance of await lockObserved(tx, workerId)) {
    const lost = applyLoss(instance, at);
    if (lost === undefined) continue;
    await writeObserved(tx, { ...instance, ...lost, endOwed: true });
    await appendEvents(tx, instance.sandboxId, endOf(lost));
    ended.push(instance.sandboxId);
  }
  return ended;
}

/** By an operator's word. Throws NotFound, and FailedPrecondition while the worker is heard of. */
export async function declareWorkerLost(deps: Pick<ServiceDeps, "db" | "hub">, id: string): Promise<number> {
  const workerId = checkId("worker", "worker_id", id);
  const ended = await inTransaction(deps.db, async (tx) => {
    const worker = await lockWorker(tx, workerId);
    if (worker === undefined) throw new AppError("NotFound", `there is no worker ${id}`, { field: "worker_id" });
    if (worker.isHeard) throw stillHeard(id, worker);
    return giveUp(tx, workerId);
  });
  for (const sandboxId of ended) deps.hub.wake(sandboxTopic(sandboxId));
  return ended.length;
}

function stillHeard(id: string, { lastSeenAt }: LockedWorker): AppError {
  return new AppError("FailedPrecondition", `${id} was heard of at ${lastSeenAt.toISOString()}`, {
    field: "worker_id",
    hint: "stop it first, or terminate its sandboxes",
  });
}

/** A worker as the operator sees it. */
export interface WorkerView {
  readonly id: string;
  readonly lastSeenAt: Date;
  readonly isUnreachable: boolean;
  readonly instances: number;
}

export async function allWorkers(deps: Pick<ServiceDeps, "db">): Promise<WorkerView[]> {
  const rows = await listWorkers(deps.db);
  return rows.map((row) => ({
    id: row.id,
    lastSeenAt: row.last_seen_at,
    isUnreachable: !row.connected,
    instances: row.instances,
  }));
}
