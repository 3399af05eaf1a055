// The way into sandboxes for both fronts: a request in, its answer out. Pools, opens, counts.
import { setImmediate as nextTurn } from "node:timers";
import type { Deadlines } from "../deadlines.ts";
import type { RefusalCode, Route } from "../exchange.ts";
import type { CoreLimits } from "../limits.ts";
import type { ConnectionOwner } from "./connection.ts";
import { UpstreamConnection } from "./connection.ts";
import { OpenFailed, RouteOpener } from "./open-route.ts";
import type { OutgoingOwner } from "./outgoing.ts";
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

export class Upstream implements ConnectionOwner, OutgoingOwner, Disposable {
  readonly limits: CoreLimits;
  readonly deadlines: Deadlines;
  readonly #pool: Pool<UpstreamConnection>;
  readonly #opener: RouteOpener;
  readonly #requests: Places;
  readonly #connections = new Set<UpstreamConnection>();
  readonly #opening = new Set<AbortController>();

  constructor(options: UpstreamOptions) {
    const { currentRoute, deadlines, limits } = options;
    this.limits = limits;
    this.deadlines = deadlines;
    this.#pool = new Pool(limits);
    this.#requests = new Places(limits.maxRequestsPerSandbox);
    this.#opener = new RouteOpener({ ...limits, currentRoute });
  }

  /** Connections that wait for a request. */
  get idleConnections(): number {
    return this.#pool.size;
  }

  /** Connections into sandboxes that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Requests on their way. */
  get requests(): number {
    return this.#requests.count;
  }

  /**
   * Sends a request and tells the sink of its answer: of its connection perhaps before this returns, of all else
   * afterwards. Throws `TypeError` for headers that must not be written.
   */
  request(request: UpstreamRequest, sink: AnswerSink): UpstreamExchange {
    const { sandboxId } = request.route;
    if (!this.#requests.take(sandboxId)) return refused(sink, "TooManyRequests", "the sandbox has too many requests");
    try {
      const outgoing = new Outgoing(request, sink, this);
      outgoing.start();
      return outgoing;
    } catch (error) {
      this.#requests.leave(sandboxId);
      throw error;
    }
  }

  /** Cuts all connections, without a word to the sinks. */
  [Symbol.dispose](): void {
    for (const opening of this.#opening) opening.abort(new Error("the proxy is stopping"));
    for (const connection of this.#connections) connection.destroy();
  }

  takeIdle({ port, route }: UpstreamRequest, isRepeatable: boolean): UpstreamConnection | undefined {
    const sinceMs = isRepeatable ? 0 : this.deadlines.roughMs - SURE_IDLE_MS;
    return this.#pool.take(keyOf(route, port), sinceMs);
  }

  async connect(request: UpstreamRequest, opening: AbortController): Promise<UpstreamConnection> {
    this.#opening.add(opening);
    try {
      // A WebSocket's stream is handed over to whoever splices it.
      const isPlain = request.webSocketKey !== undefined;
      const { route, ...opened } = await this.#opener.open(request.route, request.port, isPlain, opening.signal);
      const connection = new UpstreamConnection(opened, keyOf(route, request.port), this);
      this.#connections.add(connection);
      connection.start();
      return connection;
    } finally {
      this.#opening.delete(opening);
    }
  }

  failureOf(error: unknown): UpstreamFailure {
    if (error instanceof OpenFailed) return error;
    return { code: "InternalError", problem: error instanceof Error ? error.message : "the connection was not made" };
  }

  onOver({ route }: UpstreamRequest): void {
    this.#requests.leave(route.sandboxId);
  }

  release(connection: UpstreamConnection): boolean {
    return this.#pool.put(connection);
  }

  onGone(connection: UpstreamConnection): void {
    this.#connections.delete(connection);
    this.#pool.forget(connection);
  }
}

/** The last key of each route: most are asked for one port, and a text that is made anew is hashed anew. */
const keys = new WeakMap<Route, { readonly port: number; readonly key: string }>();

function keyOf(route: Route, port: number): string {
  const known = keys.get(route);
  if (known?.port === port) return known.key;
  const key = `${route.instanceId}:${port}`;
  keys.set(route, { port, key });
  return key;
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
