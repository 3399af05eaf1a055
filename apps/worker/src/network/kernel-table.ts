// The router's table as the kernel has it: loaded whole as text, changed by messages. Each transaction has a number in
// the namespace, so that a change by anybody else shows at once, whatever it was, and at a cost that does not grow.

import type { NftSession } from "./apply.ts";
import { refused } from "./apply.ts";
import { NetworkError } from "./errors.ts";
import { readAnswer, readAttributes } from "./netlink/messages.ts";
import { batch, getElement, getGeneration, type Part, type SetName } from "./netlink/nft-messages.ts";

/** ERESTART, as the kernel says that the number of a transaction is not what was expected. */
const CHANGED_BY_OTHERS = 85;
const ENOENT = 2;
const GENERATION = 1;
const LAST_GENERATION = 0xffff_ffff;

const LIST_ELEMENTS = 3;
const ELEMENT_EXPRESSION = 7;
const ELEMENT_EXPRESSIONS = 11;
const EXPRESSION_DATA = 2;
const LIST_ELEMENT = 1;
const COUNTER_PACKETS = 2;

/** Somebody else has changed the rules in the router's namespace: what the kernel holds is not known. */
export class ChangedByOthersError extends NetworkError {
  constructor() {
    super("RulesNotApplied", "the router's rules were changed by somebody else");
  }
}

export class KernelTable {
  readonly #session: NftSession;
  /** Of the last transaction, ours; undefined where that is not known. */
  #generation: number | undefined;

  constructor(session: NftSession) {
    this.#session = session;
  }

  /** Loads text as one transaction, whatever is there. Throws as `NftSession.apply`. */
  async load(text: string): Promise<void> {
    this.#generation = undefined;
    const before = await this.#askGeneration();
    await this.#session.apply(text);
    const after = await this.#askGeneration();
    // Otherwise somebody came between: the next look finds the table unknown.
    if (after === following(before)) this.#generation = after;
  }

  /**
   * Makes one transaction of the parts.
   *
   * @throws ChangedByOthersError where nothing was done, as somebody else did something before; NetworkError
   *   `RulesNotApplied` where the kernel refuses; SessionLostError where no answer came.
   */
  async change(parts: readonly Part[]): Promise<void> {
    if (parts.length === 0) return;
    const expected = this.#generation;
    if (expected === undefined) throw new ChangedByOthersError();
    this.#generation = undefined;
    const { acknowledged, refusals } = readAnswer(await this.#session.exchange(batch(parts, expected)));
    const [refusal] = refusals;
    if (refusal?.errno === CHANGED_BY_OTHERS) throw new ChangedByOthersError();
    if (refusal !== undefined) {
      this.#generation = expected;
      throw refused(`error ${refusal.errno}${refusal.explanation === undefined ? "" : `: ${refusal.explanation}`}`);
    }
    if (acknowledged.size !== parts.length) throw new ChangedByOthersError();
    this.#generation = following(expected);
  }

  /** Whether the last transaction in the namespace was ours, so that everything is as we left it. */
  async isOurs(): Promise<boolean> {
    return this.#generation !== undefined && (await this.#askGeneration()) === this.#generation;
  }

  /** Packets counted by an element of a set with counters; undefined where there is no such element. */
  async packets(name: SetName, key: Buffer): Promise<number | undefined> {
    const { replies, refusals } = readAnswer(await this.#session.exchange(getElement(name, key)));
    const [refusal] = refusals;
    if (refusal !== undefined && refusal.errno !== ENOENT) throw refused(`error ${refusal.errno}`);
    const reply = replies[0];
    return reply === undefined ? undefined : packetsOf(reply.payload);
  }

  async #askGeneration(): Promise<number> {
    const { replies } = readAnswer(await this.#session.exchange(getGeneration()));
    const found = replies[0] === undefined ? undefined : readAttributes(replies[0].payload).get(GENERATION);
    if (found === undefined) throw refused("it does not tell the number of its rules");
    return found.readUInt32BE(0);
  }
}

function following(generation: number): number {
  return generation === LAST_GENERATION ? 1 : generation + 1;
}

function packetsOf(payload: Buffer): number | undefined {
  const list = readAttributes(payload).get(LIST_ELEMENTS);
  const element = list && readAttributes(list).get(LIST_ELEMENT);
  if (element === undefined) return undefined;
  const attributes = readAttributes(element);
  const several = attributes.get(ELEMENT_EXPRESSIONS);
  const expression = attributes.get(ELEMENT_EXPRESSION) ?? (several && readAttributes(several).get(LIST_ELEMENT));
  const data = expression && readAttributes(expression).get(EXPRESSION_DATA);
  const packets = data && readAttributes(data).get(COUNTER_PACKETS);
  return packets === undefined ? undefined : Number(packets.readBigUInt64BE(0));
}
