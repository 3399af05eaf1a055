// The host's side of the uplink: forwarding, our table, and a word in the chains of others. Put back by `remove`.

import type { PlatformNames, UplinkAddresses } from "./addresses.ts";
import { member, type NftSession } from "./apply.ts";
import { connectionsOfSlots } from "./connection-room.ts";
import type { Forwarding } from "./forwarding.ts";
import {
  type ForeignChain,
  foreignChains,
  HOST_CHAINS,
  type HostTable,
  ourHandles,
  possibleForeignChains,
  renderForeignRules,
  renderHostTable,
  renderRemoveHostTable,
} from "./host-rules.ts";

export interface HostSideOptions {
  readonly names: PlatformNames;
  /** In the host's own namespace. */
  readonly session: NftSession;
  readonly forwarding: Forwarding;
}

const LIST_CHAINS = [{ list: { chains: null } }];

export class HostSide {
  readonly #names: PlatformNames;
  readonly #session: NftSession;
  readonly #forwarding: Forwarding;
  #table: HostTable | undefined;

  constructor(options: HostSideOptions) {
    this.#names = options.names;
    this.#session = options.session;
    this.#forwarding = options.forwarding;
  }

  /** The table goes in before forwarding is on: no moment in which the host forwards what it did not before. */
  async prepare(uplink: UplinkAddresses): Promise<void> {
    const closed = await this.#forwarding.remember(this.#names.hostLink);
    await this.#load({ names: this.#names, uplink, closed, connections: await connectionsOfSlots() });
    await this.#forwarding.assert();
    // The machine may have room for more connections by now.
    await this.#keepBound();
    await this.#speakInForeignChains();
  }

  /** Puts back what somebody took away. Answers whether something was missing. */
  async repair(): Promise<boolean> {
    await this.#forwarding.assert();
    const chains = (await this.#session.query(LIST_CHAINS)).map((entry) => member(entry, "chain"));
    const ours = chains.filter((chain) => chain?.["family"] === "inet" && chain["table"] === this.#names.hostTable);
    const missing = ours.length < HOST_CHAINS && this.#table !== undefined;
    if (missing && this.#table !== undefined) await this.#load(this.#table);
    await this.#keepBound();
    await this.#speakInForeignChains();
    return missing;
  }

  async #load(table: HostTable): Promise<void> {
    await this.#session.apply(renderHostTable(table));
    this.#table = table;
  }

  /** A load counts connections anew: those that are open by then are not among them. */
  async #keepBound(): Promise<void> {
    const connections = await connectionsOfSlots();
    if (this.#table !== undefined && this.#table.connections !== connections)
      await this.#load({ ...this.#table, connections });
  }

  /** Takes away all that `prepare` brought. Idempotent. */
  async remove(): Promise<void> {
    this.#table = undefined;
    for (const chain of possibleForeignChains(await this.#session.query(LIST_CHAINS))) {
      const handles = await this.#handles(chain);
      if (handles.length === 0) continue;
      const at = `${chain.family} ${chain.table} ${chain.name}`;
      await this.#session.apply(handles.map((handle) => `delete rule ${at} handle ${handle}\n`).join(""));
    }
    await this.#session.apply(renderRemoveHostTable(this.#names));
    await this.#forwarding.release();
  }

  async #speakInForeignChains(): Promise<void> {
    for (const chain of foreignChains(await this.#session.query(LIST_CHAINS))) {
      if ((await this.#handles(chain)).length === 0) await this.#session.apply(renderForeignRules(chain, this.#names));
    }
  }

  async #handles(chain: ForeignChain): Promise<number[]> {
    return ourHandles(await this.#session.query([{ list: { chain } }]), this.#names);
  }
}
