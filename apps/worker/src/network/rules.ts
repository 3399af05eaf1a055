// The router's rules as they are now: keeps what the kernel has beside what it should have, one change at a time.

import type { NetworkRules } from "@sallyport/policy";
import type { SlotAddresses } from "./addresses.ts";
import { member, type NftObject, type NftSession, SessionLostError } from "./apply.ts";
import { NetworkError } from "./errors.ts";
import type { ResolverOptions } from "./look-ups.ts";
import {
  BASE_CHAIN_RULES,
  checkRules,
  ROUTER_TABLE,
  type RouterSlot,
  renderAddSlot,
  renderChangeRules,
  renderNever,
  renderRemoveSlot,
  renderTable,
} from "./nftables.ts";
import { SerialQueue } from "./serial.ts";

const CHAIN = { family: "inet", table: ROUTER_TABLE } as const;

export interface RouterRulesOptions {
  readonly session: NftSession;
  readonly gatewayUid: number;
  readonly resolver?: ResolverOptions | undefined;
}

export interface NewSlot {
  readonly addresses: SlotAddresses;
  readonly mark: number;
  readonly rules: NetworkRules;
}

/** Every change is one transaction; it resolves after the kernel's answer, and what was there stays where it fails. */
export class RouterRules {
  readonly #session: NftSession;
  readonly #gatewayUid: number;
  readonly #resolver: ResolverOptions | undefined;
  readonly #slots = new Map<number, RouterSlot>();
  #ownAddresses: readonly string[] = [];
  #revision = 0;
  /** The kernel may hold something else than we think: the next change loads everything. */
  #unsure = true;
  readonly #queue = new SerialQueue();

  constructor(options: RouterRulesOptions) {
    this.#session = options.session;
    this.#gatewayUid = options.gatewayUid;
    this.#resolver = options.resolver;
  }

  /** Loads everything, in place of whatever is there. */
  load(slots: readonly NewSlot[], ownAddresses: readonly string[]): Promise<void> {
    return this.#queue.run(async () => {
      const next = new Map(slots.map((slot) => [slot.addresses.slot, this.#routerSlot(slot)]));
      await this.#session.apply(this.#render(next, ownAddresses));
      this.#slots.clear();
      for (const [key, slot] of next) this.#slots.set(key, slot);
      this.#ownAddresses = ownAddresses;
      this.#unsure = false;
    });
  }

  add(slot: NewSlot): Promise<void> {
    return this.#queue.run(async () => {
      const added = this.#routerSlot(slot);
      await this.#change(added.addresses.slot, added, renderAddSlot(added));
    });
  }

  setRules(slot: number, rules: NetworkRules): Promise<void> {
    return this.#queue.run(async () => {
      const before = this.#slots.get(slot);
      if (before === undefined) throw new NetworkError("NoSuchSlot", `slot ${slot} has no rules`);
      const after = this.#routerSlot({ ...before, rules });
      await this.#change(slot, after, renderChangeRules(before, after));
    });
  }

  /** Idempotent. */
  remove(slot: number): Promise<void> {
    return this.#queue.run(async () => {
      const before = this.#slots.get(slot);
      if (before !== undefined) await this.#change(slot, undefined, renderRemoveSlot(before));
    });
  }

  /** For a slot whose cable goes though the kernel refuses to take its rules out: the next change loads all without it. */
  forget(slot: number): Promise<void> {
    return this.#queue.run(() => {
      this.#slots.delete(slot);
      this.#unsure = true;
      return Promise.resolve();
    });
  }

  /** Replaces the host's and platform's own addresses in the never set; nothing happens where they are the same. */
  setOwnAddresses(ownAddresses: readonly string[]): Promise<void> {
    return this.#queue.run(async () => {
      if (ownAddresses.join() === this.#ownAddresses.join() && !this.#unsure) return;
      await this.#apply(this.#slots, ownAddresses, renderNever(ownAddresses));
      this.#ownAddresses = ownAddresses;
    });
  }

  /** Whether the kernel still holds the base chains with their rules and a policy of drop. Throws where nobody answers. */
  intact(): Promise<boolean> {
    return this.#queue.run(async () => {
      if (this.#unsure) return false;
      const names = Object.keys(BASE_CHAIN_RULES);
      try {
        // One request per chain: libnftables 1.0.6 finds only the first of several in one.
        const lists = names.map((name) => this.#session.query([{ list: { chain: { ...CHAIN, name } } }]));
        const found = (await Promise.all(lists)).flat();
        return names.every((name) => holds(found, name));
      } catch (error) {
        if (error instanceof SessionLostError) throw error;
        return false;
      }
    });
  }

  /** Loads everything that should be there once more. */
  reload(): Promise<void> {
    return this.#queue.run(async () => {
      await this.#session.apply(this.#render(this.#slots, this.#ownAddresses));
      this.#unsure = false;
    });
  }

  async #change(key: number, slot: RouterSlot | undefined, text: string): Promise<void> {
    const next = new Map(this.#slots);
    if (slot === undefined) next.delete(key);
    else next.set(key, slot);
    await this.#apply(next, this.#ownAddresses, text);
    if (slot === undefined) this.#slots.delete(key);
    else this.#slots.set(key, slot);
  }

  /** Applies the small text, or the whole table where the kernel's state is not known. */
  async #apply(next: ReadonlyMap<number, RouterSlot>, ownAddresses: readonly string[], text: string): Promise<void> {
    if (!this.#unsure) {
      try {
        await this.#session.apply(text);
        return;
      } catch (error) {
        if (!(error instanceof SessionLostError)) throw error;
        this.#unsure = true;
      }
    }
    await this.#session.apply(this.#render(next, ownAddresses));
    this.#unsure = false;
  }

  #render(slots: ReadonlyMap<number, RouterSlot>, ownAddresses: readonly string[]): string {
    const [gatewayUid, resolver] = [this.#gatewayUid, this.#resolver];
    return renderTable({ gatewayUid, resolver, ownAddresses, slots: [...slots.values()] });
  }

  #routerSlot(slot: NewSlot): RouterSlot {
    checkRules(slot.rules);
    this.#revision += 1;
    return { addresses: slot.addresses, mark: slot.mark, rules: slot.rules, revision: this.#revision };
  }
}

function holds(found: readonly NftObject[], name: string): boolean {
  const policy = found.map((entry) => member(entry, "chain")).find((chain) => chain?.["name"] === name)?.["policy"];
  const rules = found.map((entry) => member(entry, "rule")).filter((rule) => rule?.["chain"] === name);
  return policy === "drop" && rules.length === BASE_CHAIN_RULES[name];
}
