// All instances of this worker: what the api wishes is compared with what there is, and what an earlier worker left is
// taken over.
import type { DenialDetail } from "../network/index.ts";
import { newContainerId } from "../runtime/container-id.ts";
import { Instance } from "./instance.ts";
import type { InstanceParts } from "./parts.ts";
import { WARM_CLASS, type WarmPool } from "./pool.ts";
import type { InstanceOutcome, InstanceRecord, InstanceSpec } from "./record.ts";
import type { SleepWish } from "./sleep-plan.ts";

/** Be running, under this policy. */
export interface RunWish {
  readonly kind: "run";
  /** Unset where the api has told it before. */
  readonly spec?: InstanceSpec;
  /** The newest policy that the wish tells of. */
  readonly network?: InstanceSpec["network"] | undefined;
}

/** A wish of the api, checked. */
export interface Wish {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  readonly sleep: SleepWish;
  readonly want:
    | RunWish
    /** A specification that cannot be followed; `problem` says why. */
    | { readonly kind: "refuse"; readonly problem: string }
    | { readonly kind: "stop" };
}

export interface RegistryOptions {
  readonly parts: InstanceParts;
  readonly maxInstances: number;
  readonly pool: WarmPool;
  /** The machine's memory, which sandboxes made ahead leave to the tenants'. */
  readonly memoryMiB: number;
  /** How long an end is remembered after the api knows it. 15 min when unset. */
  readonly tombstoneMs?: number;
}

const TOMBSTONE_MS = 15 * 60_000;

export class Registry {
  readonly #parts: InstanceParts;
  readonly #maxInstances: number;
  readonly #pool: WarmPool;
  readonly #memoryMiB: number;
  /** Their record is damaged, and they may well run: they are not begun again. */
  readonly #untouchable = new Set<string>();
  /** What no record names, kept for as long as damaged ones might. */
  #strays: { readonly containers: readonly string[]; readonly slots: readonly number[] } = {
    containers: [],
    slots: [],
  };
  readonly #tombstoneMs: number;
  readonly #instances = new Map<string, Instance>();
  readonly #lives = new Set<Promise<void>>();
  readonly #leave = new AbortController();
  #isGoingDown = false;

  constructor(options: RegistryOptions) {
    this.#parts = options.parts;
    this.#maxInstances = options.maxInstances;
    this.#pool = options.pool;
    this.#memoryMiB = options.memoryMiB;
    this.#tombstoneMs = options.tombstoneMs ?? TOMBSTONE_MS;
  }

  /**
   * Takes over what an earlier worker wrote down, and removes what nothing names. `unreadable` names instances whose
   * record is damaged: nothing of theirs is touched.
   */
  async recover(records: readonly InstanceRecord[], unreadable: ReadonlySet<string>): Promise<void> {
    const { runtime, network } = this.#parts;
    for (const instanceId of unreadable) this.#untouchable.add(instanceId);
    const named = new Set(records.map((record) => record.containerId));
    const claimed = new Set(records.map((record) => record.slot));
    const bound = new Set(network.boundSlots());
    this.#strays = {
      containers: [...(await runtime.known())].filter((id) => !named.has(id)),
      slots: [...bound].filter((slot) => !claimed.has(slot)),
    };
    // A damaged record does not tell which container is its instance's: any that no other names may be.
    if (unreadable.size === 0) await this.#sweep();
    for (const record of records) {
      // A slot that was released just before the worker was killed may be given to another instance from now on.
      const isReleased = record.phase === "stopping" && record.slot !== undefined && !bound.has(record.slot);
      this.#add(isReleased ? { ...record, slot: undefined } : record, true);
    }
  }

  /** Follows wishes. A full list also tells which instances the api does not know. */
  apply(wishes: readonly Wish[], isFull: boolean): void {
    for (const wish of wishes) {
      this.#follow(wish);
      this.#instances.get(wish.instanceId)?.sleeper.wished(wish.sleep);
    }
    if (!isFull) return;
    const known = new Set(wishes.map((wish) => wish.instanceId));
    for (const [instanceId, instance] of this.#instances) {
      if (instance.record.phase !== "ended" && !known.has(instanceId)) instance.quarantine(true);
    }
  }

  /** The api has a report, or never will. */
  async acked(instanceId: string, seq: number, isUnknown: boolean): Promise<void> {
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) return;
    if (isUnknown && instance.record.phase !== "ended") instance.quarantine(true);
    await instance.acked(seq);
  }

  /** Packets of a slot were denied. Of one that no instance has, such as that of a build, nobody is told. */
  async denied(slot: number, details: readonly DenialDetail[]): Promise<void> {
    const instance = [...this.#instances.values()].find(({ record }) => record.slot === slot);
    await instance?.tell(details.map((detail) => ({ type: "network_denied", detail })));
  }

  find(instanceId: string): Instance | undefined {
    return this.#instances.get(instanceId);
  }

  /** Root file systems that an instance runs from, or will. */
  digestsInUse(): Set<string> {
    const living = [...this.#instances.values()].map(({ record }) => record).filter(({ phase }) => phase !== "ended");
    return new Set(living.flatMap(({ spec }) => (spec === undefined ? [] : [spec.imageDigest])));
  }

  /** Everything that the api has not acknowledged as ended. */
  toReport(): InstanceRecord[] {
    return [...this.#instances.values()].map(({ record }) => record).filter((record) => record.ackedAt === undefined);
  }

  gatewayConnected(): void {
    for (const instance of this.#instances.values()) instance.gatewayConnected();
  }

  /** Every few seconds: counts are read, old tombstones go. */
  async tick(): Promise<void> {
    const now = this.#parts.clock.now();
    for (const [instanceId, instance] of this.#instances) {
      const { ackedAt } = instance.record;
      if (ackedAt !== undefined && now - ackedAt > this.#tombstoneMs) {
        this.#instances.delete(instanceId);
        await this.#parts.store.remove(instanceId);
      } else await instance.sample();
    }
    await this.#pool.tick();
  }

  /** Ends every instance and starts no other. Resolves when all have ended. */
  async down(): Promise<void> {
    this.#isGoingDown = true;
    for (const instance of this.#instances.values()) instance.wantEnd({ kind: "down" });
    await Promise.all([...this.#lives, this.#pool[Symbol.asyncDispose]()]);
  }

  /** Leaves every instance as it is. Resolves when no step is under way any more. */
  async leave(): Promise<void> {
    this.#leave.abort(new Error("the worker stops"));
    await Promise.all([...this.#lives, this.#pool[Symbol.asyncDispose]()]);
  }

  #follow(wish: Wish): void {
    if (this.#untouchable.has(wish.instanceId) && wish.want.kind !== "stop") {
      this.#parts.logger.error(
        { instanceId: wish.instanceId },
        "its record is damaged: left alone until it is to stop",
      );
      return;
    }
    if (this.#untouchable.delete(wish.instanceId) && this.#untouchable.size === 0) this.#alive(this.#sweep());
    const instance = this.#instances.get(wish.instanceId);
    if (instance !== undefined) {
      this.#followKnown(instance, wish);
      return;
    }
    const { instanceId, sandboxId, generation, want } = wish;
    const bare: InstanceRecord = {
      version: 1,
      instanceId,
      sandboxId,
      containerId: newContainerId(),
      generation,
      seq: 1,
      at: this.#parts.clock.now(),
      bootId: this.#parts.bootId,
      networkGeneration: 0,
      phase: "stopping",
    };
    if (want.kind === "run") {
      const refusal = this.#refusal();
      if (want.spec === undefined)
        this.#parts.logger.error({ instanceId }, "a wish to run an instance that nobody specified");
      else if (refusal === undefined) this.#add({ ...bare, phase: "preparing", spec: want.spec }, false);
      else this.#add({ ...bare, outcome: startRefused(refusal) }, false);
    } else if (want.kind === "refuse") {
      this.#add({ ...bare, outcome: startRefused(want.problem) }, false);
    } else {
      // Never seen: what is written down now keeps a wish to run that was sent before from being followed later.
      this.#add({ ...bare, outcome: { reason: "terminated", exitCode: 137 } }, false);
    }
  }

  #followKnown(instance: Instance, wish: Wish): void {
    const { record } = instance;
    if (record.phase === "ended") {
      if (record.ackedAt !== undefined) this.#parts.report(record); // it seems to have forgotten
      return;
    }
    instance.quarantine(false);
    if (wish.want.kind === "run") instance.wishRun(wish.want.network);
    else if (wish.want.kind === "stop") instance.wantEnd({ kind: "stopWish" });
    else
      this.#parts.logger.error(
        { instanceId: wish.instanceId, problem: wish.want.problem },
        "a wish cannot be followed",
      );
  }

  /** Removes what an earlier worker left and no record names. */
  async #sweep(): Promise<void> {
    const { runtime, network, logger } = this.#parts;
    const { containers, slots } = this.#strays;
    this.#strays = { containers: [], slots: [] };
    for (const containerId of containers) {
      logger.warn({ containerId }, "sweeping what no record names");
      await this.#tolerate(runtime.destroy(containerId, { thorough: true }));
    }
    await Promise.all(slots.map((slot) => this.#tolerate(network.releaseSlot(slot))));
  }

  /** Waited for when the worker ends. */
  #alive(life: Promise<void>): void {
    this.#lives.add(life);
    void life.finally(() => this.#lives.delete(life));
  }

  /** What cannot be swept now is swept by the next worker: it keeps nobody from starting. */
  async #tolerate(sweep: Promise<void>): Promise<void> {
    try {
      await sweep;
    } catch (error) {
      this.#parts.logger.error({ err: error }, "something of an earlier worker is left");
    }
  }

  #refusal(): string | undefined {
    if (this.#isGoingDown) return "the platform is being taken down";
    const live = [...this.#instances.values()].filter(({ record }) => record.phase !== "ended").length;
    return live >= this.#maxInstances ? `this worker takes ${this.#maxInstances} instances at most` : undefined;
  }

  /** Tenants' sandboxes come first: those made ahead have what these leave. */
  #makeRoom(): void {
    const live = [...this.#instances.values()].map(({ record }) => record).filter(({ phase }) => phase !== "ended");
    const takenMiB = live.reduce((sum, { spec }) => sum + (spec?.limits.memoryMiB ?? 0), 0);
    const byMemory = Math.floor((this.#memoryMiB - takenMiB) / WARM_CLASS.memoryMiB);
    this.#pool.allow(Math.min(this.#maxInstances - live.length, byMemory));
  }

  #add(record: InstanceRecord, recovered: boolean): void {
    const instance = new Instance({ parts: this.#parts, record, recovered, leave: this.#leave.signal });
    this.#instances.set(record.instanceId, instance);
    if (record.phase === "ended") {
      // The worker may have been killed before the gateway could be told.
      if (recovered) void this.#parts.gateway.detach(record.instanceId);
      return;
    }
    this.#makeRoom();
    this.#alive(instance.run().finally(() => this.#makeRoom()));
  }
}

function startRefused(message: string): InstanceOutcome {
  return { reason: "initFailure", exitCode: 137, message };
}
