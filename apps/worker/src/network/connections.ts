// Takes the connections of a slot's ended life out of the tables of connections: the router's, and the machine's own,
// which tracks what the router lets out a second time. Nothing matches them any more, but the tables are everybody's, and
// what is left in the machine's would be there for as long as the machine keeps idle connections.

import { parseAddress } from "@sallyport/policy";
import type { UplinkAddresses } from "./addresses.ts";
import { type NftSession, refused } from "./apply.ts";
import { deleteConnection, deleteConnections, listConnections, onward } from "./netlink/connection-messages.ts";
import { readAnswer } from "./netlink/messages.ts";
import { SerialQueue } from "./serial.ts";
import { ENTRY_BIT } from "./slot-rules.ts";

/** Connections that come in have the same mark and one bit more. */
const LIFE_MASK = ~ENTRY_BIT >>> 0;
/** Connections that are deleted with one request: what else the worker does comes in between. */
const DELETED_AT_ONCE = 256;
const NO_SUCH_ENTRY = 2;

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

/** Connections end by themselves at any time: one that is not there is as it should be. */
function checkDone(refusals: readonly { readonly errno: number }[]): void {
  const refusal = refusals.find(({ errno }) => errno !== NO_SUCH_ENTRY);
  if (refusal !== undefined) throw refused(`a list of connections: error ${refusal.errno}`);
}

function bytesOf(address: string, length: 4 | 16): Buffer {
  const digits = (parseAddress(address)?.value ?? 0n).toString(16).padStart(length * 2, "0");
  return Buffer.from(digits, "hex");
}
