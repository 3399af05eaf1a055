// Observations up from workers: applied once, in one transaction with the events that tell of them.
import { AppError } from "@sallyport/appkit/errors";
import type { Observation, Outcome, Report } from "../domain/instance-state.ts";
import { applyReport } from "../domain/instance-state.ts";
import type { EventDetail, NewEvent, ReportedEvent } from "../domain/sandbox-event.ts";
import { boundedDetail, isWorkerEventType, toldDetail } from "../domain/sandbox-event.ts";
import { inTransaction } from "../store/database.ts";
import { writeAddresses } from "../store/fleet.ts";
import type { ObservedInstance } from "../store/instances.ts";
import { lockObserved, writeObserved } from "../store/instances.ts";
import { appendEvents } from "../store/sandbox-events.ts";
import { FLEET_TOPIC, sandboxTopic } from "../store/topics.ts";
import { touchWorker } from "../store/workers.ts";
import { checkId } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import { checkAddresses } from "./fleet.ts";

/** One report with the instance that it is about. */
export interface InstanceReport extends Report {
  readonly instanceId: string;
  /** What the worker saw happen since its last acknowledged report. */
  readonly events: readonly ReportedEvent[];
}

/** That the api has a report, or never will. */
export interface Ack {
  readonly instanceId: string;
  readonly seq: number;
  readonly unknown: boolean;
}

/**
 * Applies what is newer than what we have, in one transaction, and acknowledges all of it. An empty report is a sign of
 * life. With the machine's addresses, all workers are told of them.
 */
export async function reportInstances(
  deps: ServiceDeps,
  workerId: string,
  reports: readonly InstanceReport[],
  addresses?: readonly string[],
): Promise<Ack[]> {
  checkId("worker", "worker_id", workerId);
  const own = addresses === undefined ? undefined : checkAddresses(addresses);
  const [isRegistered, applied] = await Promise.all([
    touchWorker(deps.db, workerId),
    reports.length === 0 ? NOTHING_APPLIED : inTransaction(deps.db, (tx) => applyReports(tx, workerId, reports)),
  ]);
  if (!isRegistered) {
    throw new AppError("FailedPrecondition", "worker_id: is not registered", {
      field: "worker_id",
      hint: "open WatchDesired first",
    });
  }
  if (own !== undefined && (await writeAddresses(deps.db, workerId, own))) deps.hub.wake(FLEET_TOPIC);
  for (const sandboxId of applied.moved) deps.hub.wake(sandboxTopic(sandboxId));
  return applied.acks;
}

interface Applied {
  readonly acks: Ack[];
  /** Sandboxes of which there is something new. */
  readonly moved: readonly string[];
}

const NOTHING_APPLIED: Applied = { acks: [], moved: [] };

async function applyReports(
  tx: ServiceDeps["db"],
  workerId: string,
  reports: readonly InstanceReport[],
): Promise<Applied> {
  const locked = await lockObserved(tx, workerId, [...new Set(reports.map((report) => report.instanceId))]);
  const known = new Map(locked.map((instance) => [instance.instanceId, instance]));
  const changed = new Map<string, Change>();
  const acks: Ack[] = [];
  for (const report of reports) {
    const { instanceId, seq } = report;
    const { instance: current, events = [] } = changed.get(instanceId) ?? { instance: known.get(instanceId) };
    const unknown = current === undefined || report.generation > current.generation;
    acks.push({ instanceId, seq, unknown });
    if (unknown || report.generation < current.generation) continue;
    const change = changeOf(current, report);
    if (change !== undefined) {
      changed.set(instanceId, { instance: change.instance, events: [...events, ...change.events] });
    }
  }
  // In the order in which everybody locks, whatever the order of the reports.
  const changes = [...changed.values()].toSorted((a, b) => (a.instance.instanceId < b.instance.instanceId ? -1 : 1));
  for (const { instance, events } of changes) {
    await writeObserved(tx, instance);
    await appendEvents(tx, instance.sandboxId, events);
  }
  return { acks, moved: changes.map(({ instance }) => instance.sandboxId) };
}

interface Change {
  readonly instance: ObservedInstance;
  readonly events: readonly NewEvent[];
}

/** What a report makes of an instance, and what is to be told of it; undefined when it says nothing new. */
function changeOf(current: ObservedInstance, report: InstanceReport): Change | undefined {
  if (current.observed === "ended") {
    // Its end is told and final. A worker that was given up may yet say that it has none of it left.
    const isSettled = current.endOwed && report.state === "ended";
    return isSettled ? { instance: { ...current, endOwed: false }, events: [] } : undefined;
  }
  const bySeq = new Map(report.events.filter(({ seq }) => seq > current.eventSeq).map((event) => [event.seq, event]));
  const fresh = [...bySeq.values()].toSorted((a, b) => a.seq - b.seq);
  // No policy is in a kernel that was never wished: an update must not be taken for done by a number out of the air.
  const networkGeneration = Math.min(report.networkGeneration, current.networkWished);
  const next = applyReport(current, { ...report, networkGeneration });
  if (next === undefined && fresh.length === 0) return undefined;
  const eventSeq = fresh.at(-1)?.seq ?? current.eventSeq;
  const told = fresh.flatMap(toldOf);
  return {
    instance: { ...current, ...next, eventSeq },
    events:
      next === undefined ? told : [...startOf(current, next), ...policyOf(current, next), ...told, ...endOf(next)],
  };
}

/** What a newer worker may tell of beyond our list, nobody here could explain. */
function toldOf({ type, at, detail }: ReportedEvent): NewEvent[] {
  const kept = isWorkerEventType(type) ? toldDetail(type, detail) : undefined;
  return isWorkerEventType(type) && kept !== undefined ? [{ type, at, detail: kept }] : [];
}

/** That the kernel has another policy than the one that the sandbox began with. */
function policyOf(before: ObservedInstance, after: Observation): NewEvent[] {
  const { networkGeneration: generation } = after;
  if (generation <= before.networkGeneration || generation === 1) return [];
  const { networkCause: by, networkWished } = before;
  // Why a later one was made says nothing of this one.
  const detail = by === undefined || generation < networkWished ? { generation } : { generation, by };
  return [{ type: "network_policy_changed", at: undefined, detail }];
}

function startOf(before: Observation, after: Observation): NewEvent[] {
  const isStart = before.startedAt === undefined && after.startedAt !== undefined;
  return isStart ? [{ type: "started", at: after.startedAt, detail: {} }] : [];
}

/** The last event of a sandbox: how it ended. Empty while it has not. */
export function endOf({ endedAt, outcome }: Observation): NewEvent[] {
  return endedAt === undefined || outcome === undefined
    ? []
    : [{ type: "ended", at: endedAt, detail: outcomeDetail(outcome) }];
}

function outcomeDetail({ reason, exitCode, signal, message }: Outcome): EventDetail {
  const detail = { reason: reason.replaceAll("_", "-"), exitCode, signal, message };
  return boundedDetail(Object.fromEntries(Object.entries(detail).filter(([, value]) => value !== undefined)));
}
