// The slots that exist: made ahead at verdict drop, handed out, given other rules, taken away. Journal before kernel.

import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import type { NetworkRules } from "@sallyport/policy";
import { type PlatformNames, type SlotAddresses, slotAddresses } from "./addresses.ts";
import { shapeSlot } from "./bandwidth.ts";
import { checkRules } from "./check-rules.ts";
import type { Connections } from "./connections.ts";
import { messageOf, NetworkError } from "./errors.ts";
import { BLOCKED, type Journal, type JournaledSlot } from "./journal.ts";
import { type Reach, reachOf } from "./reach.ts";
import type { RouterRules } from "./rules.ts";
import { SerialQueue } from "./serial.ts";
import { makeSlot, unmakeSlot } from "./slot.ts";
import type { SlotNumbers } from "./slot-numbers.ts";

export interface SlotStoreOptions {
  readonly platformId: string;
  readonly names: PlatformNames;
  readonly journal: Journal;
  readonly rules: RouterRules;
  readonly numbers: SlotNumbers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Slots kept ready. */
  readonly poolSize: number;
  readonly connections: Connections;
  /** Megabits per second, each way; 0: no bound. */
  readonly bandwidthMbit: number;
  /** A slot is nobody's any more. */
  readonly onReleased?: ((slot: number) => void) | undefined;
}

/** A slot that was taken is made up for a little later: its taker is starting a sandbox just now. */
const REFILL_DELAY_MS = 100;

interface Held {
  readonly addresses: SlotAddresses;
  readonly queue: SerialQueue;
  entry: JournaledSlot;
  releasing: Promise<void> | undefined;
  /** Its connections are about to be held against its newest rules. */
  isCutDue: boolean;
}

export class SlotStore implements AsyncDisposable {
  readonly #options: SlotStoreOptions;
  readonly #slots = new Map<number, Held>();
  readonly #ready: Held[] = [];
  readonly #lives = new SerialQueue();
  readonly #closing = new AbortController();
  #refilling: Promise<void> | undefined;
  #refillTimer: NodeJS.Timeout | undefined;

  constructor(options: SlotStoreOptions) {
    this.#options = options;
  }

  /** A slot of an earlier run that goes on, its rules loaded already. */
  adopt(entry: JournaledSlot): void {
    this.#options.numbers.occupy(entry.slot);
    this.#hold(entry);
  }

  addressesOf(slot: number): SlotAddresses | undefined {
    const held = this.#slots.get(slot);
    return held?.entry.bound === true && held.releasing === undefined ? held.addresses : undefined;
  }

  /** Of a slot that is handed out. */
  modeOf(slot: number): NetworkRules["mode"] | undefined {
    const entry = this.#slots.get(slot)?.entry;
    return entry?.bound === true ? entry.rules.mode : undefined;
  }

  bound(): number[] {
    return [...this.#slots.values()].filter((held) => held.entry.bound).map((held) => held.entry.slot);
  }

  /** A prepared slot, or one made now where none is ready. */
  async acquire(signal?: AbortSignal): Promise<SlotAddresses> {
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw new NetworkError("Closed", "the network is closed");
    const startedMs = this.#options.clock.monotonicMs();
    const ready = this.#ready.shift();
    const held = ready ?? (await this.#make(signal));
    await this.#journal(held, { ...held.entry, bound: true });
    this.#refillTimer ??= setTimeout(() => {
      this.#refillTimer = undefined;
      this.refill();
    }, REFILL_DELAY_MS);
    this.#log("slot acquired", held, startedMs, { prepared: ready !== undefined });
    return held.addresses;
  }

  /** Makes what the pool lacks, in the background; failures are logged, and show again where a slot is asked for. */
  refill(): void {
    if (this.#closing.signal.aborted || this.#refilling !== undefined) return;
    this.#refilling = this.#fill().finally(() => {
      this.#refilling = undefined;
    });
  }

  async #fill(): Promise<void> {
    const { signal } = this.#closing;
    while (this.#ready.length < this.#options.poolSize && !signal.aborted) {
      try {
        this.#ready.push(await this.#make(signal));
      } catch (error) {
        if (!signal.aborted) this.#options.logger.warn({ error: messageOf(error) }, "slot could not be prepared");
        return;
      }
    }
  }

  async #make(signal?: AbortSignal): Promise<Held> {
    const { numbers, journal, names, rules, clock, bandwidthMbit } = this.#options;
    const startedMs = clock.monotonicMs();
    const life = await this.#lives.run(async () => {
      const next = numbers.next();
      await journal.setLives(numbers.lives);
      return next;
    });
    const held = this.#hold({ ...life, bound: false, rules: BLOCKED });
    try {
      await journal.setSlot(held.entry);
      await rules.add({ addresses: held.addresses, mark: life.mark, rules: BLOCKED });
      await makeSlot(names, held.addresses, signal);
      if (bandwidthMbit > 0) await shapeSlot(names, held.addresses, bandwidthMbit, signal);
    } catch (error) {
      await this.#discard(held);
      throw error;
    }
    this.#log("slot made", held, startedMs);
    return held;
  }

  async #discard(held: Held): Promise<void> {
    try {
      await this.release(held.entry.slot);
    } catch (error) {
      this.#options.logger.warn(
        { slot: held.entry.slot, error: messageOf(error) },
        "half-made slot could not be removed",
      );
    }
  }

  /** Resolves after the kernel's answer. Where it refuses, the old rules hold, here and there. */
  async setRules(slot: number, rules: NetworkRules): Promise<void> {
    checkRules(rules);
    const held = this.#slots.get(slot);
    if (held === undefined || !held.entry.bound) throw new NetworkError("NoSuchSlot", `slot ${slot} is not handed out`);
    const startedMs = this.#options.clock.monotonicMs();
    await held.queue.run(async () => {
      if (held.releasing !== undefined) throw new NetworkError("NoSuchSlot", `slot ${slot} is being released`);
      const before = held.entry;
      await this.#journal(held, { ...before, rules });
      try {
        await this.#options.rules.setRules(slot, rules);
      } catch (error) {
        await this.#journal(held, before);
        throw error;
      }
      // What was blocked has none.
      if (before.rules.mode !== "blocked") this.#cut(held);
    });
    this.#log("policy applied", held, startedMs, { mode: rules.mode });
  }

  /** In the background: no packet passes that the rules deny. Changes that come before it begins are one. */
  #cut(held: Held): void {
    if (held.isCutDue) return;
    held.isCutDue = true;
    const { connections, logger } = this.#options;
    const newest = (): Reach => {
      held.isCutDue = false;
      return reachOf(held.entry.rules);
    };
    connections.cut(held.entry.mark, newest).catch((error: unknown) => {
      logger.warn({ slot: held.entry.slot, error: messageOf(error) }, "denied connections could not be taken out");
    });
  }

  /** Rules, cable, namespace, journal: all gone, the number at rest. Idempotent; after a failure it can be asked again. */
  async release(slot: number): Promise<void> {
    const held = this.#slots.get(slot);
    if (held === undefined) return;
    held.releasing ??= held.queue
      .run(() => this.#remove(held))
      .catch((error: unknown) => {
        held.releasing = undefined;
        throw error;
      });
    await held.releasing;
  }

  async #remove(held: Held): Promise<void> {
    const { names, journal, numbers, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const { slot } = held.entry;
    await this.#removeRules(slot);
    await Promise.all([unmakeSlot(names, held.addresses), this.#forget(held.entry.mark)]);
    await journal.removeSlot(slot);
    numbers.release(slot);
    this.#slots.delete(slot);
    this.#options.onReleased?.(slot);
    this.#log("slot released", held, startedMs);
  }

  /** Where the kernel refuses, the cable goes all the same, and with it whatever could use the rules that stay for now. */
  async #removeRules(slot: number): Promise<void> {
    const { rules, logger } = this.#options;
    try {
      await rules.remove(slot);
    } catch (error) {
      logger.error({ slot, error: messageOf(error) }, "rules of a released slot stay until the table is loaded again");
      await rules.forget(slot);
    }
  }

  /** A failure here keeps no slot alive: nothing matches the entries any more. */
  async #forget(mark: number): Promise<void> {
    const { connections, logger } = this.#options;
    try {
      await connections.forget(mark);
    } catch (error) {
      logger.warn({ error: messageOf(error) }, "connections of a released slot could not be taken out");
    }
  }

  #hold(entry: JournaledSlot): Held {
    const addresses = slotAddresses(this.#options.platformId, entry.slot);
    const held: Held = { addresses, queue: new SerialQueue(), entry, releasing: undefined, isCutDue: false };
    this.#slots.set(entry.slot, held);
    return held;
  }

  async #journal(held: Held, entry: JournaledSlot): Promise<void> {
    await this.#options.journal.setSlot(entry);
    held.entry = entry;
  }

  #log(message: string, held: Held, startedMs: number, fields: object = {}): void {
    const ms = Math.round((this.#options.clock.monotonicMs() - startedMs) * 10) / 10;
    this.#options.logger.info({ slot: held.entry.slot, ms, ...fields }, message);
  }

  /** Stops making slots. What exists stays: prepared slots are removed at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new NetworkError("Closed", "the network is closed"));
    clearTimeout(this.#refillTimer);
    await this.#refilling;
    await Promise.all([...this.#slots.values()].map((held) => held.queue.run(() => Promise.resolve())));
    await this.#options.connections.settled();
  }
}
