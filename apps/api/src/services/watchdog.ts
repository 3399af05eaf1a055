// Watches the workers' signs of life: tells of silence and of its end, and gives up whom law 7 lets it give up. It looks
// on its own monotonic clock, so that an outage of the database or of this process counts as nobody's silence.
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { WORKER_SILENCE_MS } from "../domain/limits.ts";
import { judgeSilence, SilenceLedger } from "../domain/silence.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import { appendWorkerEvent } from "../store/sandbox-events.ts";
import { sandboxTopic } from "../store/topics.ts";
import type { WorkerSighting } from "../store/workers.ts";
import { listSightings, lockWorker, markWorker } from "../store/workers.ts";
import { giveUp } from "./lost-workers.ts";
import { repeatedly } from "./repeatedly.ts";
import type { WakeHub } from "./wake-hub.ts";

const LOOK_EVERY_MS = 2_000;

export interface WatchdogDeps {
  readonly db: Db;
  readonly hub: WakeHub;
  readonly logger: Logger;
  readonly lostAfterMs: number;
}

/** One looker: what it has seen since it began to look without a gap. */
export class Watchdog {
  readonly #deps: WatchdogDeps;
  readonly #ledger = new SilenceLedger();

  constructor(deps: WatchdogDeps) {
    this.#deps = deps;
  }

  /** Looks once, at this time of a clock that never goes back. Rejects when the database does not answer. */
  async look(nowMs: number): Promise<void> {
    const { db, lostAfterMs } = this.#deps;
    const workers = await listSightings(db);
    const silences = this.#ledger.look(nowMs, workers);
    const verdict = judgeSilence(silences, { unreachableAfterMs: WORKER_SILENCE_MS, lostAfterMs });
    for (const worker of workers) {
      const isSilent = verdict.unreachable.includes(worker.workerId);
      if (isSilent && !worker.isUnreachable) await this.#tell(worker, "unreachable");
      if (!isSilent && worker.isUnreachable) await this.#tell(worker, "reachable");
    }
    for (const workerId of verdict.lost) await this.#lose(workerId);
  }

  /** Another process may have told it meanwhile: what is locked is judged again. */
  async #tell({ workerId }: WorkerSighting, mark: "reachable" | "unreachable"): Promise<void> {
    const told = await inTransaction(this.#deps.db, async (tx) => {
      const worker = await lockWorker(tx, workerId);
      const wasUnreachable = mark === "reachable";
      if (worker === undefined || worker.isLost || worker.isUnreachable !== wasUnreachable) return undefined;
      if (worker.isHeard !== wasUnreachable) return undefined;
      await markWorker(tx, workerId, mark);
      return appendWorkerEvent(tx, workerId, { type: mark, at: undefined, detail: {} });
    });
    if (told === undefined) return;
    this.#deps.logger.warn({ workerId, sandboxes: told.length }, `a worker is ${mark}`);
    for (const sandboxId of told) this.#deps.hub.wake(sandboxTopic(sandboxId));
  }

  async #lose(workerId: string): Promise<void> {
    const ended = await inTransaction(this.#deps.db, async (tx) => {
      const worker = await lockWorker(tx, workerId);
      if (worker === undefined || worker.isLost || worker.isHeard) return undefined;
      return giveUp(tx, workerId);
    });
    if (ended === undefined) return;
    this.#deps.logger.error({ workerId, sandboxes: ended.length }, "a worker was silent for too long and is given up");
    for (const sandboxId of ended) this.#deps.hub.wake(sandboxTopic(sandboxId));
  }
}

/** Looks until disposed of. */
export function startWatchdog(deps: WatchdogDeps & { readonly clock: Clock }): AsyncDisposable {
  const { clock, logger } = deps;
  const watchdog = new Watchdog(deps);
  return repeatedly({ clock, everyMs: LOOK_EVERY_MS }, async () => {
    try {
      await watchdog.look(clock.monotonicMs());
    } catch (error) {
      logger.warn({ err: error }, "looking at the workers failed");
    }
  });
}
