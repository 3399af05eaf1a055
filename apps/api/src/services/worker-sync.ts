// Wishes down to workers: everything at once, then what changes. What comes up from them, worker-reports.ts takes.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { isDigest, isImageName } from "../domain/names.ts";
import type { DesiredInstance } from "../domain/sandbox.ts";
import { inTransaction } from "../store/database.ts";
import { listFleet } from "../store/fleet.ts";
import type { ImageRow } from "../store/images.ts";
import { replaceImages } from "../store/images.ts";
import { listDesired, wishToken } from "../store/instances.ts";
import { FLEET_TOPIC, workerTopic } from "../store/topics.ts";
import type { WorkerOffer } from "../store/workers.ts";
import { currentSession, registerWorker } from "../store/workers.ts";
import { checkId, checkNumber } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import type { DesiredImage } from "./worker-images.ts";
import { ToldImages } from "./worker-images.ts";

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
  readonly images: readonly DesiredImage[];
  /** The machines' own addresses; undefined when they are as they were told. */
  readonly fleet: readonly string[] | undefined;
}

/** Everything at once, then changes as they commit, everything again every 10 s. Ends when the same worker opens another stream. */
export async function* watchDesired(
  deps: ServiceDeps,
  hello: WorkerHello,
  signal: AbortSignal,
): AsyncGenerator<DesiredUpdate, void, undefined> {
  checkHello(deps, hello);
  const { workerId } = hello;
  using subscription = deps.hub.subscribe(workerTopic(workerId), FLEET_TOPIC);
  const session = await inTransaction(deps.db, async (tx) => {
    const number = await registerWorker(tx, hello);
    await replaceImages(tx, workerId, hello.images);
    return number;
  });
  deps.hub.wake(workerTopic(workerId)); // a stream before this one ends now
  let told = new Set<string>();
  const toldImages = new ToldImages();
  let toldFleet: string | undefined;
  let nextFullAt = deps.clock.monotonicMs();
  for (;;) {
    const now = deps.clock.monotonicMs();
    const full = now >= nextFullAt;
    const [newest, instances, images, addresses] = await Promise.all([
      currentSession(deps.db, workerId),
      listDesired(deps.db, workerId, full ? [] : [...told]),
      toldImages.next(deps, workerId, full),
      listFleet(deps.db),
    ]);
    if (newest !== session) throw new AppError("Cancelled", "another stream of this worker has begun");
    if (full) {
      told = new Set();
      nextFullAt = now + FULL_EVERY_MS;
    }
    for (const instance of instances) told.add(wishToken(instance));
    const isFleetNew = full || addresses.join() !== toldFleet;
    toldFleet = addresses.join();
    const fleet = isFleetNew ? addresses : undefined;
    if (isFleetNew || instances.length + images.length > 0) yield { full, instances, images, fleet };
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
  if (!/^$|^https?:\/\/[\x21-\x7e]{1,253}$/.test(hello.ioUrl)) throw invalidArgument("io_url", "must be an HTTP URL");
  const names = new Set<string>();
  hello.images.forEach(({ name, digest }, index) => {
    if (!isImageName(name) || names.has(name))
      throw invalidArgument(`images[${index}].name`, "is no name, or is there twice");
    if (!isDigest(digest))
      throw invalidArgument(`images[${index}].digest`, "must be sha256: and 64 hexadecimal digits");
    names.add(name);
  });
}
