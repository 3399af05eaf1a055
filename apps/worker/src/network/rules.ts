// The router's rules as they are now: keeps what the kernel has beside what it should have, one change at a time.

import type { NetworkRules } from "@sallyport/policy";
import type { SlotAddresses } from "./addresses.ts";
import { type NftSession, SessionLostError } from "./apply.ts";
import { checkShape } from "./check-rules.ts";
import { NetworkError } from "./errors.ts";
import { ChangedByOthersError, KernelTable } from "./kernel-table.ts";
import type { ResolverOptions } from "./look-ups.ts";
import type { Part } from "./netlink/nft-messages.ts";
import { neverRanges, ROUTER_TABLE, renderTable } from "./nftables.ts";
import { SerialQueue } from "./serial.ts";
import { DEFAULT_SLOT_LIMITS, type SlotLimits } from "./slot-limits.ts";
import { linkKey, replaceRanges, slotChanges, slotJoins, slotLeaves } from "./slot-messages.ts";
import type { RouterSlot } from "./slot-rules.ts";

/**
 * Elements of slots' sets that go with the text of the table. It is one transaction, of at most 16 MiB and so many
 * seconds: slots that take more, and their policies are their tenants' to write, follow one by one.
 */
const ELEMENTS_IN_TEXT = 32_768;

export interface RouterRulesOptions {
  readonly session: NftSession;
  readonly gatewayUid: number;
  readonly resolver?: ResolverOptions | undefined;
  readonly limits?: SlotLimits | undefined;
}

export interface NewSlot {
  readonly addresses: SlotAddresses;
  readonly mark: number;
  readonly rules: NetworkRules;
}

/**
 * Every change is one transaction; it resolves after the kernel's answer, and what was there stays where it fails. Only
 * loads of everything are several where slots hold very much: nothing passes for those that have not got their turn.
 */
export class RouterRules {
  readonly #options: RouterRulesOptions;
  readonly #kernel: KernelTable;
  readonly #slots = new Map<number, RouterSlot>();
  #ownAddresses: readonly string[] = [];
  readonly #limits: SlotLimits;
  readonly #queue = new SerialQueue();

  constructor(options: RouterRulesOptions) {
    this.#options = options;
    this.#limits = options.limits ?? DEFAULT_SLOT_LIMITS;
    this.#kernel = new KernelTable(options.session);
  }

  /** Loads everything, in place of whatever is there. */
  load(slots: readonly NewSlot[], ownAddresses: readonly string[]): Promise<void> {
    return this.#queue.run(async () => {
      const next = new Map(slots.map((slot) => [slot.addresses.slot, routerSlot(slot)]));
      await this.#load([...next.values()], ownAddresses);
      this.#slots.clear();
      for (const [key, slot] of next) this.#slots.set(key, slot);
      this.#ownAddresses = ownAddresses;
    });
  }

  add(slot: NewSlot): Promise<void> {
    return this.#queue.run(async () => {
      const added = routerSlot(slot);
      await this.#change(added.addresses.slot, added, slotJoins(ROUTER_TABLE, added, this.#limits.packetsPerSecond));
    });
  }

  setRules(slot: number, rules: NetworkRules): Promise<void> {
    return this.#queue.run(async () => {
      const before = this.#slots.get(slot);
      if (before === undefined) throw new NetworkError("NoSuchSlot", `slot ${slot} has no rules`);
      const after = routerSlot({ ...before, rules });
      await this.#change(slot, after, slotChanges(ROUTER_TABLE, before, after));
    });
  }

  /** Idempotent. */
  remove(slot: number): Promise<void> {
    return this.#queue.run(async () => {
      const before = this.#slots.get(slot);
      if (before !== undefined) await this.#change(slot, undefined, slotLeaves(ROUTER_TABLE, before));
    });
  }

  /** For a slot whose cable goes though the kernel refuses to take its rules out: the next load is without it. */
  forget(slot: number): Promise<void> {
    return this.#queue.run(() => {
      this.#slots.delete(slot);
      return Promise.resolve();
    });
  }

  /** Replaces the machines' and platform's own addresses in the never set; nothing happens where they are the same. */
  setOwnAddresses(ownAddresses: readonly string[]): Promise<void> {
    return this.#queue.run(async () => {
      if (ownAddresses.join() === this.#ownAddresses.join()) return;
      const never = neverRanges(ownAddresses);
      const parts = ([4, 6] as const).flatMap((family) =>
        replaceRanges(ROUTER_TABLE, `never${family}`, family, never[family]),
      );
      await this.#apply(parts, () => this.#load([...this.#slots.values()], ownAddresses));
      this.#ownAddresses = ownAddresses;
    });
  }

  /** Whether nobody has touched the rules of the namespace but us. Throws where nobody answers. */
  intact(): Promise<boolean> {
    return this.#queue.run(() => this.#kernel.isOurs());
  }

  /** Packets of a slot that were denied since its rules were loaded; undefined where it has none. */
  denials(slot: number): Promise<number | undefined> {
    const link = this.#slots.get(slot)?.addresses.routerLink;
    if (link === undefined) return Promise.resolve(undefined);
    return this.#kernel.packets({ table: ROUTER_TABLE, set: "denials" }, linkKey(link));
  }

  /** Loads everything that should be there once more. */
  reload(): Promise<void> {
    return this.#queue.run(() => this.#load([...this.#slots.values()], this.#ownAddresses));
  }

  async #change(key: number, slot: RouterSlot | undefined, parts: readonly Part[]): Promise<void> {
    const all = (): RouterSlot[] => {
      const others = [...this.#slots].filter(([other]) => other !== key).map(([, other]) => other);
      return slot === undefined ? others : [...others, slot];
    };
    await this.#apply(parts, () => this.#load(all(), this.#ownAddresses));
    if (slot === undefined) this.#slots.delete(key);
    else this.#slots.set(key, slot);
  }

  /** Applies the parts, or the whole table where the kernel's state is not known. */
  async #apply(parts: readonly Part[], loadAll: () => Promise<void>): Promise<void> {
    try {
      await this.#kernel.change(parts);
    } catch (error) {
      if (!(error instanceof SessionLostError || error instanceof ChangedByOthersError)) throw error;
      await loadAll();
    }
  }

  async #load(all: readonly RouterSlot[], ownAddresses: readonly string[]): Promise<void> {
    const { gatewayUid, resolver } = this.#options;
    const limits = this.#limits;
    const { slots, later } = inText(all);
    await this.#kernel.load(renderTable({ gatewayUid, resolver, limits, ownAddresses, slots }));
    for (const slot of later) await this.#kernel.change(slotJoins(ROUTER_TABLE, slot, limits.packetsPerSecond));
  }
}

/** As many as there is room for, those with little in their sets first: one that holds much delays nobody but itself. */
function inText(all: readonly RouterSlot[]): Record<"slots" | "later", readonly RouterSlot[]> {
  const bySize = all.map((slot) => ({ slot, size: sizeOf(slot) })).sort((left, right) => left.size - right.size);
  let room = ELEMENTS_IN_TEXT;
  const count = bySize.findIndex(({ size }) => {
    room -= size;
    return room < 0;
  });
  const slots = bySize.map(({ slot }) => slot);
  return count === -1 ? { slots, later: [] } : { slots: slots.slice(0, count), later: slots.slice(count) };
}

/** Elements of its sets, near enough. */
function sizeOf({ rules }: RouterSlot): number {
  const { allow4, allow6, granted4, granted6, portRules } = rules;
  return [allow4, allow6, granted4, granted6, portRules].reduce((sum, list) => sum + list.length, 0);
}

function routerSlot(slot: NewSlot): RouterSlot {
  checkShape(slot.rules);
  return { addresses: slot.addresses, mark: slot.mark, rules: slot.rules };
}
