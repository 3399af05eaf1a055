// Asks the host's resolvers for one name: in turn until one answers, over TCP where the answer is long, within a time.

import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import type { Question, Response } from "../message/response.ts";
import { RCODE } from "../message/wire.ts";
import { ExchangeError, type ExchangeOptions, exchangeTcp, exchangeUdp } from "./exchange.ts";
import { type Server, type ServerList, serverText } from "./servers.ts";

export interface UpstreamOptions {
  readonly list: ServerList;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For one try. */
  readonly timeoutMs: number;
}

/** None of them answered. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
}

/** A server that is silent is asked so many times; one that answers with an error is not asked again. */
const ROUNDS = 2;
/** A look-up as a whole has as long as so many tries: then its asker has given up too. */
const TRIES = 3;
/** A server that did not answer so many times in a row is asked after the others, until it answers again. */
const FAILURES = 3;
/** Failures are told once in so long: a network that is down would fill the log. */
const WARN_EVERY_MS = 10_000;

const ANSWERS: ReadonlySet<number> = new Set([RCODE.noError, RCODE.noSuchName]);
const KNOWS_NO_EDNS: ReadonlySet<number> = new Set([RCODE.formatError, RCODE.notImplemented]);

export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #failures = new Map<string, number>();
  readonly #plain = new Set<string>();
  #warnedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  /** An answer with "there is", or "there is none". Throws UpstreamError, or the signal's reason. */
  async ask(question: Question, signal: AbortSignal): Promise<Response> {
    const { clock, timeoutMs } = this.#options;
    const deadline = clock.monotonicMs() + TRIES * timeoutMs;
    const servers = this.#inOrder();
    const failures: string[] = [];
    const done = new Set<Server>();
    for (const server of Array.from({ length: ROUNDS }, () => servers).flat()) {
      if (done.has(server)) continue;
      const left = deadline - clock.monotonicMs();
      if (left <= 0) break;
      try {
        const response = await this.#askOne(server, question, Math.min(timeoutMs, left), signal);
        if (ANSWERS.has(response.rcode)) return response;
        done.add(server);
        failures.push(`${serverText(server)}: error ${response.rcode}`);
      } catch (error) {
        if (!(error instanceof ExchangeError)) throw error;
        failures.push(`${serverText(server)}: ${error.message}`);
      }
    }
    this.#warn(failures);
    throw new UpstreamError("no resolver of the host answered");
  }

  async #askOne(server: Server, question: Question, timeoutMs: number, signal: AbortSignal): Promise<Response> {
    const key = serverText(server);
    try {
      const options = { server, question, timeoutMs, signal, edns: !this.#plain.has(key) };
      const response = await this.#long(options, await exchangeUdp(options));
      this.#failures.delete(key);
      if (!options.edns || !KNOWS_NO_EDNS.has(response.rcode)) return response;
      this.#plain.add(key);
      return await this.#askOne(server, question, timeoutMs, signal);
    } catch (error) {
      if (error instanceof ExchangeError) this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
      throw error;
    }
  }

  async #long(options: ExchangeOptions, response: Response): Promise<Response> {
    return response.truncated ? await exchangeTcp(options) : response;
  }

  /** In the order of the list, those last that have not answered of late. Servers that left the list are forgotten. */
  #inOrder(): readonly Server[] {
    const { servers } = this.#options.list;
    const listed = new Set(servers.map(serverText));
    for (const key of this.#failures.keys()) if (!listed.has(key)) this.#failures.delete(key);
    for (const key of this.#plain) if (!listed.has(key)) this.#plain.delete(key);
    const isBad = (server: Server): boolean => (this.#failures.get(serverText(server)) ?? 0) >= FAILURES;
    return [...servers.filter((server) => !isBad(server)), ...servers.filter(isBad)];
  }

  /** No names in the log: what sandboxes look up is theirs. */
  #warn(failures: readonly string[]): void {
    const now = this.#options.clock.monotonicMs();
    if (now - this.#warnedAtMs < WARN_EVERY_MS) return;
    this.#warnedAtMs = now;
    this.#options.logger.warn({ failures }, "no resolver of the host answered a look-up");
  }
}
