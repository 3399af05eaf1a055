// One message in, one answer out: what is asked for, whether it may be, what the host's resolvers say, and what of it
// a sandbox may hear.

import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import type { Cache } from "./cache.ts";
import { withoutForbidden } from "./filter.ts";
import { localAnswer } from "./local-names.ts";
import { type Answer, encodeAnswer, type Transport } from "./message/encode.ts";
import { nameKey } from "./message/name.ts";
import { parseQuery, type Query } from "./message/query.ts";
import { isPassedType } from "./message/records.ts";
import type { Response } from "./message/response.ts";
import { EDE, RCODE, type Rcode, TYPE } from "./message/wire.ts";
import type { OwnAddresses } from "./own-addresses.ts";
import type { Rates } from "./rates.ts";
import type { Turns } from "./turns.ts";
import { type Upstream, UpstreamError } from "./upstream/upstream.ts";

export interface ResolverOptions {
  readonly upstream: Pick<Upstream, "ask">;
  readonly cache: Cache;
  readonly rates: Rates;
  readonly turns: Turns;
  readonly own: Pick<OwnAddresses, "ranges">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when the resolver stops. */
  readonly signal: AbortSignal;
}

/** Who waited so long for a turn has given up: nobody is asked on its behalf. */
const MAX_WAIT_MS = 5_000;
/** Browsers ask for these beside every address; that there is none lets them go on. */
const NEVER_THERE: ReadonlySet<number> = new Set([TYPE.SVCB, TYPE.HTTPS]);

/** So many of this asker's look-ups wait that no more are taken. */
class TooManyError extends Error {
  override readonly name = "TooManyError";
}

export class Resolver {
  readonly #options: ResolverOptions;
  /** Look-ups under way, by asker and question: a repeat waits for the first. */
  readonly #pending = new Map<string, Promise<Response>>();

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /**
   * The answer to one message of one asker, named by its address. Undefined: to this nothing is answered. Never rejects.
   */
  async answer(message: Uint8Array, client: string, transport: Transport): Promise<Buffer | undefined> {
    try {
      const parsed = parseQuery(message);
      if (parsed === undefined) return undefined;
      const head = parsed.kind === "query" ? parsed.query : parsed.head;
      const answer = this.#options.rates.take(client)
        ? parsed.kind === "query"
          ? await this.#answer(parsed.query, client)
          : plain(parsed.rcode)
        : plain(RCODE.refused, EDE.other, "too many look-ups in a short time");
      return encodeAnswer(head, answer, transport);
    } catch (error) {
      this.#options.logger.error({ err: error }, "a look-up failed");
      return undefined;
    }
  }

  async #answer(query: Query, client: string): Promise<Answer> {
    const { name, type } = query;
    if (NEVER_THERE.has(type)) return plain(RCODE.noError);
    if (!isPassedType(type)) return plain(RCODE.refused, EDE.notSupported, "records of this type are not passed on");
    const local = localAnswer(name, type, this.#options.own.ranges);
    if (local !== undefined) {
      const rcode = local === "no such name" ? RCODE.noSuchName : RCODE.noError;
      return plain(rcode, EDE.synthesized, "a name of one machine or network");
    }
    try {
      return this.#filtered(await this.#lookUp(query, client));
    } catch (error) {
      if (error instanceof TooManyError) return plain(RCODE.refused, EDE.other, error.message);
      if (!(error instanceof UpstreamError) && !this.#options.signal.aborted) throw error;
      return plain(RCODE.serverFailure, EDE.noReachableAuthority, "no resolver of the host answered");
    }
  }

  #filtered(response: Response): Answer {
    const { records, taken } = withoutForbidden(response.records, this.#options.own.ranges);
    const rcode = response.rcode === RCODE.noSuchName ? RCODE.noSuchName : RCODE.noError;
    if (!taken) return { rcode, records, authority: response.authority, extended: undefined };
    const some = records.some((record) => record.type === TYPE.A || record.type === TYPE.AAAA);
    if (some) return { rcode, records, authority: undefined, extended: undefined };
    return plain(RCODE.noError, EDE.blocked, "its addresses are private or never reachable from a sandbox");
  }

  async #lookUp(query: Query, client: string): Promise<Response> {
    const key = `${query.type} ${nameKey(query.name)}`;
    const known = this.#options.cache.get(client, key);
    if (known !== undefined) return known;
    const own = `${client} ${key}`;
    const pending = this.#pending.get(own);
    if (pending !== undefined) return await pending;
    const asked = this.#ask(query, client, key);
    this.#pending.set(own, asked);
    try {
      return await asked;
    } finally {
      this.#pending.delete(own);
    }
  }

  async #ask({ name, type }: Query, client: string, key: string): Promise<Response> {
    const { turns, upstream, cache, clock, signal } = this.#options;
    const since = clock.monotonicMs();
    const waiting = turns.take(client);
    if (waiting === undefined) throw new TooManyError("too many look-ups at once");
    using _turn = await waiting;
    if (clock.monotonicMs() - since > MAX_WAIT_MS) throw new TooManyError("too many look-ups at once");
    const response = await upstream.ask({ name, type }, signal);
    cache.set(client, key, response);
    return response;
  }
}

function plain(rcode: Rcode, code?: number, text = ""): Answer {
  return { rcode, records: [], authority: undefined, extended: code === undefined ? undefined : { code, text } };
}
