// All instances of this machine: recovered at start, attached and detached by the worker, watched by it, and removed
// when their time or the room for ended ones is over.
import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "@sallyport/appkit/clock";
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import type { WatchInstancesResponse } from "@sallyport/contracts";
import type { Attachment, EventKind } from "./instance.ts";
import { EVENT_KINDS, Instance } from "./instance.ts";
import type { Dial } from "./open.ts";
import type { SpoolBounds } from "./processes.ts";
import type { InstanceRecord } from "./spool/records.ts";
import { discard, findInstances, makeFolder, writeInstanceRecord } from "./spool/records.ts";
import { Change } from "./wait.ts";

export interface InstancesOptions {
  /** The gateway's own folder. */
  readonly stateDirectory: string;
  readonly bounds: SpoolBounds;
  /** How long the output of a detached instance stays readable. */
  readonly retentionMs: number;
  /** The most bytes that detached instances keep together. */
  readonly retainedBytes: number;
  /** The most processes that they may know together, each of them counting as one more. */
  readonly retainedProcesses: number;
  /** Where init's program is in every sandbox. */
  readonly initProgram: string;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Which instance, and where it is. */
export interface AttachOptions extends Attachment {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  /** Whether it is frozen. */
  readonly asleep: boolean;
}

const SWEEP_MS = 30_000;

export class Instances implements AsyncDisposable {
  readonly #options: InstancesOptions;
  readonly #spool: string;
  readonly #trash: string;
  readonly #byId = new Map<string, Instance>();
  readonly #watchers = new Set<Watcher>();
  readonly #stop = new AbortController();
  readonly #sweeping: Promise<void>;

  /** Recovers what the state directory holds. Throws when it cannot be used. */
  constructor(options: InstancesOptions) {
    this.#options = options;
    this.#spool = join(options.stateDirectory, "spool");
    this.#trash = join(options.stateDirectory, "trash");
    makeFolder(this.#spool);
    makeFolder(this.#trash);
    this.#emptyTrash(readdirSync(this.#trash));
    for (const { directory, record } of findInstances(this.#spool, (broken) => this.#discard(broken))) {
      this.#add(directory, record);
    }
    this.#sweeping = this.#sweepForever(this.#stop.signal);
  }

  find(instanceId: string): Instance | undefined {
    return this.#byId.get(instanceId);
  }

  /** The instance; throws NotFound. */
  get(instanceId: string): Instance {
    const instance = this.#byId.get(instanceId);
    if (instance === undefined) throw new AppError("NotFound", "there is no such instance", { field: "instance_id" });
    return instance;
  }

  /** Registers an instance and meets its init. Repeated, it waits for the link that is there. */
  async attach(options: AttachOptions, signal: AbortSignal): Promise<void> {
    const { generation, instanceId, sandboxId } = options;
    let instance = this.#byId.get(instanceId);
    if (instance === undefined) {
      const directory = join(this.#spool, instanceId);
      const record: InstanceRecord = { version: 1, instanceId, sandboxId, generation, detachedAtMs: null };
      makeFolder(directory);
      writeInstanceRecord(directory, record);
      instance = this.#add(directory, record);
    }
    if (instance.sandboxId !== sandboxId) throw invalidArgument("sandbox_id", "the instance is of another sandbox");
    await instance.attach(options, options.asleep, signal);
  }

  /** Closes an instance's doors. One that is not known is detached already. */
  async detach(instanceId: string): Promise<void> {
    await this.#byId.get(instanceId)?.detach();
  }

  /** Tells of every attached instance once, then of each event. Ends by the signal alone. */
  async *watch(signal: AbortSignal): AsyncGenerator<WatchInstancesResponse, never, undefined> {
    const watcher: Watcher = { dirty: new Map(), change: new Change() };
    this.#watchers.add(watcher);
    try {
      for (const instance of this.#byId.values())
        if (instance.attached) watcher.dirty.set(instance, new Set(EVENT_KINDS));
      for (;;) {
        for (const [instance, kinds] of watcher.dirty) {
          watcher.dirty.delete(instance);
          for (const kind of EVENT_KINDS) {
            const event = kinds.has(kind) && !instance.detached ? instance.eventOf(kind) : undefined;
            if (event !== undefined) yield { instanceId: instance.id, event };
          }
        }
        if (watcher.dirty.size === 0) await watcher.change.next(signal);
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the gateway is stopping"));
    await this.#sweeping;
    await Promise.all([...this.#byId.values()].map((instance) => instance[Symbol.asyncDispose]()));
  }

  #add(directory: string, record: InstanceRecord): Instance {
    const { bounds, clock, dial, initProgram, logger } = this.#options;
    const instance = new Instance({
      directory,
      trash: this.#trash,
      record,
      bounds,
      initProgram,
      dial,
      clock,
      logger: logger.child({ instanceId: record.instanceId }),
      onEvent: (changed, kind) => {
        for (const watcher of this.#watchers) {
          // However often it changes, a slow watcher is told of each kind once, as it is by then.
          watcher.dirty.set(changed, (watcher.dirty.get(changed) ?? new Set()).add(kind));
          watcher.change.announce();
        }
      },
    });
    this.#byId.set(record.instanceId, instance);
    return instance;
  }

  async #sweepForever(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#sweep();
      try {
        await this.#options.clock.sleep(SWEEP_MS, signal);
      } catch {
        return; // stopping
      }
    }
  }

  /** Removes detached instances whose time is over; then the oldest, until the rest fits. */
  #sweep(): void {
    const { clock, retainedBytes, retainedProcesses, retentionMs } = this.#options;
    const detached = [...this.#byId.values()]
      .filter((instance) => instance.detached)
      .toSorted((a, b) => (a.detachedAtMs ?? 0) - (b.detachedAtMs ?? 0));
    let bytes = detached.reduce((sum, instance) => sum + instance.processes.keptBytes, 0);
    let records = detached.reduce((sum, instance) => sum + instance.processes.count + 1, 0);
    for (const instance of detached) {
      const expired = clock.now() - (instance.detachedAtMs ?? 0) > retentionMs;
      if (!expired && bytes <= retainedBytes && records <= retainedProcesses) continue;
      bytes -= instance.processes.keptBytes;
      records -= instance.processes.count + 1;
      this.#byId.delete(instance.id);
      this.#discard(instance.directory);
      void instance[Symbol.asyncDispose]();
    }
  }

  /** What a killed predecessor had begun to remove. */
  #emptyTrash(names: readonly string[]): void {
    const { logger } = this.#options;
    for (const name of names) {
      rm(join(this.#trash, name), { recursive: true, force: true }).catch((error: unknown) =>
        logger.warn({ err: error }, "the trash could not be emptied"),
      );
    }
  }

  #discard(directory: string): void {
    const { logger } = this.#options;
    discard(directory, this.#trash).catch((error: unknown) =>
      logger.warn({ err: error }, "a folder could not be removed"),
    );
  }
}

interface Watcher {
  readonly dirty: Map<Instance, Set<EventKind>>;
  readonly change: Change;
}
