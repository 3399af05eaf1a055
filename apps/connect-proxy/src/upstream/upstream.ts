// The way into sandboxes for both fronts: a request in, its answer out. Pools, opens, counts.
import { setImmediate as nextTurn } from "node:timers";
import type { Deadlines } from "../deadlines.ts";
import type { RefusalCode, Route } from "../exchange.ts";
import type { CoreLimits } from "../limits.ts";
import { UpstreamConnection } from "./connection.ts";
import { OpenFailed, RouteOpener } from "./open-route.ts";
import { Outgoing } from "./outgoing.ts";
import { Places } from "./places.ts";
import { Pool } from "./pool.ts";
import type { AnswerSink, UpstreamExchange, UpstreamFailure, UpstreamRequest } from "./types.ts";

export interface UpstreamOptions {
  readonly limits: CoreLimits;
  readonly deadlines: Deadlines;
  /** The way to a sandbox as it is by now. */
  readonly currentRoute: (sandboxId: string) => Route | undefined;
}

/** An idle connection older than this is given to requests that may be repeated, and to no others. */
const SURE_IDLE_MS = 1_000;

export class Upstream implements Disposable {
  readonly #options: UpstreamOptions;
  readonly #pool: Pool<UpstreamConnection>;
  readonly #opener: RouteOpener;
  readonly #requests: Places;
  readonly #outgoing = new Set<Outgoing>();

  constructor(options: UpstreamOptions) {
    const { limits } = options;
    this.#options = options;
    this.#pool = new Pool(limits);
    this.#requests = new Places(limits.maxRequestsPerSandbox);
    this.#opener = new RouteOpener({ ...limits, currentRoute: options.currentRoute });
  }

  /** Connections that wait for a request. */
  get idleConnections(): number {
    return this.#pool.size;
  }

  /** Requests on their way. */
  get requests(): number {
    return this.#outgoing.size;
  }

  /**
   * Sends a request and tells the sink of its answer: of its connection perhaps before this returns, of all else
   * afterwards. Throws `TypeError` for headers that must not be written.
   */
  request(request: UpstreamRequest, sink: AnswerSink): UpstreamExchange {
    const { sandboxId } = request.route;
    if (!this.#requests.take(sandboxId)) return refused(sink, "TooManyRequests", "the sandbox has too many requests");
    try {
      const outgoing = this.#prepare(request, sink);
      this.#outgoing.add(outgoing);
      outgoing.start();
      return outgoing;
    } catch (error) {
      this.#requests.leave(sandboxId);
      throw error;
    }
  }

  /** Cuts what is under way, without a word to the sinks, and closes what is idle. */
  [Symbol.dispose](): void {
    for (const outgoing of this.#outgoing) outgoing.abort();
    for (const connection of this.#pool.drain()) connection.destroy();
  }

  #prepare(request: UpstreamRequest, sink: AnswerSink): Outgoing {
    const { deadlines, limits } = this.#options;
    const { port, route } = request;
    const outgoing: Outgoing = new Outgoing({
      request,
      sink,
      deadlines,
      limits,
      takeIdle: (isRepeatable) => {
        const sinceMs = isRepeatable ? 0 : deadlines.nowMs - SURE_IDLE_MS;
        return this.#pool.take(keyOf(route, port), sinceMs);
      },
      connect: (signal) => this.#connect(route, port, signal),
      failureOf,
      onOver: () => {
        if (this.#outgoing.delete(outgoing)) this.#requests.leave(route.sandboxId);
      },
    });
    return outgoing;
  }

  async #connect(first: Route, port: number, signal: AbortSignal): Promise<UpstreamConnection> {
    const { deadlines, limits } = this.#options;
    const { route, stream } = await this.#opener.open(first, port, signal);
    return new UpstreamConnection(stream, {
      key: keyOf(route, port),
      limits,
      deadlines,
      release: (connection) => this.#pool.put(connection),
      onLost: (connection) => this.#pool.remove(connection),
    });
  }
}

function keyOf(route: Route, port: number): string {
  return `${route.instanceId}:${port}`;
}

function failureOf(error: unknown): UpstreamFailure {
  if (error instanceof OpenFailed) return error;
  return { code: "InternalError", problem: error instanceof Error ? error.message : "the connection was not made" };
}

/** Tells a sink that its request goes nowhere, once the caller has the exchange in hand. */
function refused(sink: AnswerSink, code: RefusalCode, problem: string): UpstreamExchange {
  const turn = nextTurn(() => sink.onFailure({ code, problem }));
  return {
    write: () => true,
    end: () => undefined,
    resume: () => undefined,
    abort: () => clearImmediate(turn),
  };
}
