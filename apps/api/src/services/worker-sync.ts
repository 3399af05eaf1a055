// The api's half of the talk with workers: wishes down, observations up. The worker's word on what is, ours on what is wished.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { Report } from "../domain/instance-state.ts";
import { applyReport } from "../domain/instance-state.ts";
import { isDigest, isImageName } from "../domain/names.ts";
import type { DesiredInstance } from "../domain/sandbox.ts";
import { inTransaction } from "../store/database.ts";
import type { ImageRow } from "../store/images.ts";
import { replaceImages } from "../store/images.ts";
import type { ObservedInstance } from "../store/instances.ts";
import { listDesired, lockObserved, wishToken, writeObserved } from "../store/instances.ts";
import { sandboxTopic, workerTopic } from "../store/topics.ts";
import type { WorkerOffer } from "../store/workers.ts";
import { currentSession, registerWorker, touchWorker } from "../store/workers.ts";
import { checkId, checkNumber } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";

const FULL_EVERY_MS = 10_000;
/** Wake-ups of other api processes may be lost. */
const LOOK_EVERY_MS = 2_000;
const MAX_CAPACITY = 1_000_000_000;

/** How a worker introduces itself. */
export interface WorkerHello extends WorkerOffer {
  /** Empty at its first start. */
  readonly platformId: string;
  readonly images: readonly ImageRow[];
}

/** What a worker is told: all that is wished of it, or what has changed. */
export interface DesiredUpdate {
  readonly full: boolean;
  readonly instances: readonly DesiredInstance[];
}

/** Everything at once, then changes as they commit, everything again every 10 s. Ends when the same worker opens another stream. */
export async function* watchDesired(
  deps: ServiceDeps,
  hello: WorkerHello,
  signal: AbortSignal,
): AsyncGenerator<DesiredUpdate, void, undefined> {
  checkHello(deps, hello);
  const { workerId } = hello;
  using subscription = deps.hub.subscribe(workerTopic(workerId));
  const session = await inTransaction(deps.db, async (tx) => {
    const number = await registerWorker(tx, hello);
    await replaceImages(tx, workerId, hello.images);
    return number;
  });
  deps.hub.wake(workerTopic(workerId)); // a stream before this one ends now
  let told = new Set<string>();
  let nextFullAt = deps.clock.monotonicMs();
  for (;;) {
    const now = deps.clock.monotonicMs();
    const full = now >= nextFullAt;
    const [newest, instances] = await Promise.all([
      currentSession(deps.db, workerId),
      listDesired(deps.db, workerId, full ? [] : [...told]),
    ]);
    if (newest !== session) throw new AppError("Cancelled", "another stream of this worker has begun");
    if (full) {
      told = new Set();
      nextFullAt = now + FULL_EVERY_MS;
    }
    for (const instance of instances) told.add(wishToken(instance));
    if (full || instances.length > 0) yield { full, instances };
    const leftMs = Math.max(0, nextFullAt - deps.clock.monotonicMs());
    await subscription.next(Math.min(leftMs, LOOK_EVERY_MS), signal);
  }
}

function checkHello(deps: ServiceDeps, hello: WorkerHello): void {
  checkId("worker", "worker_id", hello.workerId);
  if (hello.platformId !== "" && hello.platformId !== deps.platformId) {
    throw new AppError("FailedPrecondition", "platform_id: this worker belongs to another platform", {
      field: "platform_id",
    });
  }
  const capacity = { min: 1, max: MAX_CAPACITY, unset: 0 };
  checkNumber("cpu_millis", hello.cpuMillis, capacity);
  checkNumber("memory_mib", hello.memoryMiB, capacity);
  checkNumber("max_instances", hello.maxInstances, capacity);
  if (!/^[^\s:]{1,253}:\d{1,5}$|^\[[0-9a-fA-F:.]{2,45}\]:\d{1,5}$/.test(hello.ioAddress)) {
    throw invalidArgument("io_address", "must be host:port");
  }
  if (!/^[\x20-\x7e]{0,100}$/.test(hello.runscVersion)) throw invalidArgument("runsc_version", "is no version");
  const names = new Set<string>();
  hello.images.forEach(({ name, digest }, index) => {
    if (!isImageName(name) || names.has(name))
      throw invalidArgument(`images[${index}].name`, "is no name, or is there twice");
    if (!isDigest(digest))
      throw invalidArgument(`images[${index}].digest`, "must be sha256: and 64 hexadecimal digits");
    names.add(name);
  });
}

/** One report with the instance that it is about. */
export interface InstanceReport extends Report {
  readonly instanceId: string;
}

/** That the api has a report, or never will. */
export interface Ack {
  readonly instanceId: string;
  readonly seq: number;
  readonly unknown: boolean;
}

/** Applies what is newer than what we have, in one transaction, and acknowledges all of it. An empty report is a sign of life. */
export async function reportInstances(
  deps: ServiceDeps,
  workerId: string,
  reports: readonly InstanceReport[],
): Promise<Ack[]> {
  checkId("worker", "worker_id", workerId);
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
  for (const sandboxId of applied.moved) deps.hub.wake(sandboxTopic(sandboxId));
  return applied.acks;
}

interface Applied {
  readonly acks: Ack[];
  /** Sandboxes whose state may have moved. */
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
  const changed = new Map<string, ObservedInstance>();
  const acks: Ack[] = [];
  for (const report of reports) {
    const { instanceId, seq } = report;
    const current = changed.get(instanceId) ?? known.get(instanceId);
    const unknown = current === undefined || report.generation > current.generation;
    acks.push({ instanceId, seq, unknown });
    if (unknown || report.generation < current.generation) continue;
    const next = applyReport(current, report);
    if (next !== undefined) changed.set(instanceId, { ...current, ...next });
  }
  for (const instance of changed.values()) await writeObserved(tx, instance);
  return { acks, moved: [...changed.values()].map((instance) => instance.sandboxId) };
}
