// Takes connections out of the tables of connections: the router's, and the machine's own, which tracks what the router
// lets out a second time. Those of a slot's ended life: nothing matches them any more, but the tables are everybody's, and
// what is left in the machine's would be there for as long as the machine keeps idle connections. And those that a policy
// does not let through any more: no packet of theirs passes, and they are not to count, nor to live again by the next one.

import { parseAddress } from "@sallyport/policy";
import type { UplinkAddresses } from "./addresses.ts";
import { type NftSession, refused } from "./apply.ts";
import {
  type Beginning,
  beginning,
  deleteConnection,
  deleteConnections,
  listConnections,
  onward,
} from "./netlink/connection-messages.ts";
import { readAnswer } from "./netlink/messages.ts";
import { type Reach, reaches } from "./reach.ts";
import { SerialQueue } from "./serial.ts";
import { ENTRY_BIT } from "./slot-rules.ts";

/** Connections that come in have the same mark and one bit more. */
const LIFE_MASK = ~ENTRY_BIT >>> 0;
/** Connections that are deleted with one request: what else the worker does comes in between. */
const DELETED_AT_ONCE = 256;
const NO_SUCH_ENTRY = 2;
const ONLY_THIS_MARK = 0xffff_ffff;

export interface ConnectionsOptions {
  /** Sessions of its own: a list of many connections delays no change of rules. */
  readonly router: NftSession;
  readonly host: NftSession;
  readonly uplink: UplinkAddresses;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #queue = new SerialQueue();
  readonly #sources: readonly Buffer[];

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const { routerIpv4, routerIpv6 } = options.uplink;
    this.#sources = [bytesOf(routerIpv4, 4), bytesOf(routerIpv6, 16)];
  }

  /**
   * Call when the life's rules are gone, so that there are no new ones. One life after the other, so that one list is in
   * memory at a time.
   *
   * @throws NetworkError `RulesNotApplied` where not all could be taken out.
   */
  forget(mark: number): Promise<void> {
    return this.#queue.run(() => this.#forget({ mark, mask: LIFE_MASK }));
  }

  /**
   * Call when the rules are in force that reach no further than `newest` says, which is asked when it comes to it.
   * Connections that come in from the gateway stay.
   *
   * @throws NetworkError `RulesNotApplied` where not all could be taken out.
   */
  cut(mark: number, newest: () => Reach): Promise<void> {
    return this.#queue.run(() => this.#cut(mark, newest()));
  }

  /** Resolves when all that was asked for is done. */
  settled(): Promise<void> {
    return this.#queue.run(() => Promise.resolve());
  }

  async #cut(mark: number, reach: Reach): Promise<void> {
    const { router } = this.#options;
    const listed = readAnswer(await router.exchange(listConnections({ mark, mask: ONLY_THIS_MARK })));
    checkDone(listed.refusals);
    for (let from = 0; from < listed.replies.length; from += DELETED_AT_ONCE) {
      const lost = listed.replies.slice(from, from + DELETED_AT_ONCE).flatMap(({ payload }) => {
        const connection = beginning(payload);
        return connection === undefined || isReached(reach, connection) ? [] : [{ payload, connection }];
      });
      if (lost.length === 0) continue;
      await this.#forgetOnHost(lost.map(({ payload }) => payload));
      const messages = lost.map(({ connection }, at) => deleteConnection(connection, at + 1));
      checkDone(readAnswer(await router.exchange(Buffer.concat(messages))).refusals);
    }
  }

  async #forget(marks: { readonly mark: number; readonly mask: number }): Promise<void> {
    const { router } = this.#options;
    const listed = readAnswer(await router.exchange(listConnections(marks)));
    checkDone(listed.refusals);
    try {
      for (let from = 0; from < listed.replies.length; from += DELETED_AT_ONCE) {
        await this.#forgetOnHost(listed.replies.slice(from, from + DELETED_AT_ONCE).map(({ payload }) => payload));
      }
    } finally {
      // Last: as long as the router has them, no other slot is given their ports.
      checkDone(readAnswer(await router.exchange(deleteConnections(marks))).refusals);
    }
  }

  async #forgetOnHost(listed: readonly Buffer[]): Promise<void> {
    const messages = listed.flatMap((bytes, at) => {
      const connection = onward(bytes);
      // What came in from the gateway never was the machine's to forward.
      const left = connection !== undefined && this.#sources.some((source) => source.equals(connection.source));
      return left ? [deleteConnection(connection, at + 1)] : [];
    });
    if (messages.length === 0) return;
    checkDone(readAnswer(await this.#options.host.exchange(Buffer.concat(messages))).refusals);
  }
}

function isReached(reach: Reach, { destination, protocol, port }: Beginning): boolean {
  const family = destination.length === 4 ? 4 : 6;
  return reaches(reach[family], BigInt(`0x${destination.toString("hex")}`), protocol, port);
}

/** Connections end by themselves at any time: one that is not there is as it should be. */
function checkDone(refusals: readonly { readonly errno: number }[]): void {
  const refusal = refusals.find(({ errno }) => errno !== NO_SUCH_ENTRY);
  if (refusal !== undefined) throw refused(`a list of connections: error ${refusal.errno}`);
}

function bytesOf(address: string, length: 4 | 16): Buffer {
  const digits = (parseAddress(address)?.value ?? 0n).toString(16).padStart(length * 2, "0");
  return Buffer.from(digits, "hex");
}
