// Sandboxes made before anybody asks for one: of the default image and size, started, frozen, in slots that nothing
// leaves. Whoever takes one has it for good: nothing is ever put back, so none is seen by two tenants.
import { randomBytes } from "node:crypto";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import type { SlotNetwork } from "../network/index.ts";
import { newContainerId } from "../runtime/container-id.ts";
import type { SandboxProcesses } from "../runtime/runtime.ts";
import { Changes } from "./keep-up.ts";
import type { InstanceParts } from "./parts.ts";
import { makeSandbox } from "./prepare.ts";
import type { InstanceSpec } from "./record.ts";
import { startTimeline } from "./timeline.ts";
import { untilAborted } from "./until-aborted.ts";

/** A prepared sandbox, the taker's own. */
export interface WarmSandbox {
  readonly containerId: string;
  readonly initSecret: string;
  readonly slot: SlotNetwork;
  readonly processes: SandboxProcesses;
}

/** Where an instance finds one. */
export interface WarmSandboxes {
  /**
   * One that is as the specification wishes, or undefined. One that is still being made may be given: waiting for it is
   * shorter than making another. Undefined, too, when it fails; the caller then makes its own.
   */
  take(spec: InstanceSpec): (() => Promise<WarmSandbox | undefined>) | undefined;
}

export interface WarmPoolOptions {
  readonly parts: Pick<InstanceParts, "runtime" | "network" | "images" | "startGate" | "clock" | "logger">;
  /** How many are kept. */
  readonly size: number;
}

/** What a sandbox is given whose creator asks for nothing; the api's defaults. Processor time is set at the claim. */
export const WARM_CLASS = { memoryMiB: 512, pids: 1_024, diskMiB: 1_024 } as const;
const WARM_IMAGE = "default";
const CPU_MILLIS = 1_000;

/** Init listens some 30 ms after it is started. A claim that comes sooner, or of a slower init, waits for its door. */
const SETTLE_MS = 500;
/** What a tenant does first after a start has the processors to itself. */
const REFILL_DELAY_MS = 500;
const DISCARD_TRIES = 5;

interface Place {
  readonly containerId: string;
  readonly imageDigest: string;
  /** Aborted when it is taken or given up: the pool watches it no more. */
  readonly left: AbortController;
  isReady: boolean;
  made: Promise<WarmSandbox>;
  /** Settled, whatever becomes of it, when nothing more is done to it here. */
  settled: Promise<void>;
}

export class WarmPool implements WarmSandboxes, AsyncDisposable {
  readonly #parts: WarmPoolOptions["parts"];
  readonly #logger: Logger;
  readonly #size: number;
  readonly #places = new Set<Place>();
  readonly #discards = new Set<Promise<void>>();
  readonly #closed = new AbortController();
  readonly #changes = new Changes();
  #allowed: number;
  #imageDigest: string | undefined;
  #lastTakenAt = Number.NEGATIVE_INFINITY;
  #filling: Promise<void> | undefined;

  constructor(options: WarmPoolOptions) {
    this.#parts = options.parts;
    this.#logger = options.parts.logger.child({ component: "pool" });
    this.#size = options.size;
    this.#allowed = options.size;
  }

  get size(): number {
    return this.#size;
  }

  /** Every container that is the pool's own. */
  containerIds(): string[] {
    return [...this.#places].map((place) => place.containerId);
  }

  /** Begins to fill. To be called when what an earlier worker left is swept. */
  begin(): void {
    if (this.#size > 0) this.#filling ??= this.#keepFilled();
  }

  take(spec: InstanceSpec): (() => Promise<WarmSandbox | undefined>) | undefined {
    const fitting = [...this.#places].filter((place) => isAsWished(place, spec));
    const place = fitting.find(({ isReady }) => isReady) ?? fitting[0];
    if (place === undefined || this.#closed.signal.aborted) return undefined;
    this.#leave(place);
    this.#lastTakenAt = this.#parts.clock.monotonicMs();
    return async () => {
      try {
        const sandbox = await place.made;
        await place.settled;
        return sandbox;
      } catch {
        return undefined; // told by whoever made it
      }
    };
  }

  /** How many there may be beside the tenants' sandboxes; those beyond go. */
  allow(count: number): void {
    this.#allowed = Math.max(0, Math.min(this.#size, count));
    for (const place of [...this.#places].slice(this.#allowed)) this.#giveUp(place);
    this.#changes.announce();
  }

  /** Called every few seconds: those of an image that is the default no more go. */
  async tick(): Promise<void> {
    if (this.#filling === undefined || this.#closed.signal.aborted) return;
    const images = await this.#parts.images.list();
    this.#imageDigest = images.find(({ name }) => name === WARM_IMAGE)?.digest;
    for (const place of this.#places) if (place.imageDigest !== this.#imageDigest) this.#giveUp(place);
    this.#changes.announce();
  }

  /** Destroys all that is left. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the pool is closed"));
    for (const place of this.#places) this.#giveUp(place);
    await this.#filling;
    while (this.#discards.size > 0) await Promise.all(this.#discards);
  }

  /** Never rejects. */
  async #keepFilled(): Promise<void> {
    const { clock, startGate } = this.#parts;
    const signal = this.#closed.signal;
    const backoff = new Backoff({ firstMs: 500, maxMs: 60_000, clock });
    while (!signal.aborted) {
      try {
        const changed = this.#changes.next();
        if (this.#imageDigest === undefined) await this.tick();
        if (this.#imageDigest === undefined || this.#places.size >= this.#allowed) await untilAborted(changed, signal);
        else if (clock.monotonicMs() < this.#lastTakenAt + REFILL_DELAY_MS) await clock.sleep(REFILL_DELAY_MS, signal);
        else {
          await startGate.quiet(signal);
          if (this.#places.size >= this.#allowed) continue;
          await this.#add(this.#imageDigest);
          backoff.reset();
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn({ err: error }, "no sandbox could be prepared ahead; trying again");
        await backoff.pause(signal).catch(doNothing); // the loop's condition sees the abort
      }
    }
  }

  /** Resolves when it is ready, taken or given up; rejects when it could not be made. */
  async #add(imageDigest: string): Promise<void> {
    const containerId = newContainerId();
    const left = new AbortController();
    const made = this.#make(containerId, imageDigest);
    const place: Place = { containerId, imageDigest, left, isReady: false, made, settled: Promise.resolve() };
    place.settled = made.then((sandbox) => this.#settle(place, sandbox)).catch(() => this.#giveUp(place));
    this.#places.add(place);
    await made;
    await place.settled;
  }

  async #make(containerId: string, imageDigest: string): Promise<WarmSandbox> {
    const initSecret = randomBytes(32).toString("hex");
    const { memoryMiB, pids, diskMiB } = WARM_CLASS;
    const timeline = startTimeline(() => this.#parts.clock.monotonicMs());
    let slot: SlotNetwork | undefined;
    try {
      const made = await makeSandbox(this.#parts, {
        containerId,
        initSecret,
        size: { imageDigest, limits: { cpuMillis: CPU_MILLIS, memoryMiB, pids }, diskMiB },
        signal: this.#closed.signal,
        timeline,
        onSlot: async (acquired) => {
          slot = acquired;
        },
      });
      this.#logger.info({ containerId, ...timeline.summary() }, "a sandbox is prepared ahead");
      return { containerId, initSecret, ...made };
    } catch (error) {
      this.#discard(containerId, slot?.slot);
      throw error;
    }
  }

  /** Lets init come up, then stops it until it is wanted. Taken meanwhile, it is left to its taker. */
  async #settle(place: Place, sandbox: WarmSandbox): Promise<void> {
    const { runtime } = this.#parts;
    const { signal } = place.left;
    try {
      await this.#parts.clock.sleep(SETTLE_MS, signal);
    } catch {
      return; // taken, or given up
    }
    await runtime.freeze(place.containerId);
    place.isReady = true;
    runtime.waitEnd(place.containerId, sandbox.processes, signal).then(
      () => this.#giveUp(place),
      doNothing, // taken, or given up already
    );
  }

  #leave(place: Place): void {
    this.#places.delete(place);
    place.left.abort(new Error("it is the pool's no more"));
    this.#changes.announce();
  }

  #giveUp(place: Place): void {
    if (!this.#places.has(place)) return;
    this.#leave(place);
    const gone = place.made.then(
      async (sandbox) => {
        await place.settled;
        await this.#remove(place.containerId, sandbox.slot.slot);
      },
      doNothing, // whoever made it has cleaned up
    );
    this.#remember(gone);
  }

  #discard(containerId: string, slot: number | undefined): void {
    this.#remember(this.#remove(containerId, slot));
  }

  #remember(discard: Promise<void>): void {
    this.#discards.add(discard);
    void discard.finally(() => this.#discards.delete(discard));
  }

  /** Never rejects: what cannot be removed now is swept by the next worker. */
  async #remove(containerId: string, slot: number | undefined): Promise<void> {
    const { runtime, network, clock } = this.#parts;
    const backoff = new Backoff({ firstMs: 100, maxMs: 2_000, clock });
    for (let tries = 1; ; tries += 1) {
      try {
        await runtime.destroy(containerId);
        if (slot !== undefined) await network.releaseSlot(slot);
        return;
      } catch (error) {
        this.#logger.error({ err: error, containerId }, "something of a prepared sandbox is left");
        if (tries >= DISCARD_TRIES) return;
      }
      await backoff.pause();
    }
  }
}

function isAsWished(place: Place, spec: InstanceSpec): boolean {
  const { memoryMiB, pids } = spec.limits;
  return (
    place.imageDigest === spec.imageDigest &&
    memoryMiB === WARM_CLASS.memoryMiB &&
    pids === WARM_CLASS.pids &&
    spec.diskMiB === WARM_CLASS.diskMiB &&
    (spec.uid ?? 0) === 0 &&
    (spec.gid ?? 0) === 0
  );
}

function doNothing(): void {
  // Each use says why.
}
