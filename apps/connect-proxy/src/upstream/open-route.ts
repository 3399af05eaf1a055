// Opens a connection into a sandbox by its route, again and again while its server may still be starting.
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { DirectPort, OpenErrorCode } from "@sallyport/dataplane";
import { OpenError, openPort, openPortDirect } from "@sallyport/dataplane";
import type { RefusalCode, Route } from "../exchange.ts";
import type { UpstreamFailure } from "./types.ts";

/** What each refusal of the gateway is to a client. */
const FAILURES: Readonly<Record<OpenErrorCode, RefusalCode>> = {
  BadRequest: "InternalError",
  NotGranted: "PortNotGranted",
  // The route says that there is one: the gateway does not know it yet, or no longer.
  NotFound: "SandboxNotReady",
  Ended: "SandboxEnded",
  NothingListens: "NothingListens",
  NotReady: "SandboxNotReady",
  GatewayUnavailable: "GatewayUnavailable",
  Timeout: "AnswerTimeout",
};
/** What may be otherwise a moment later. */
const PASSING: ReadonlySet<OpenErrorCode> = new Set(["NotFound", "NothingListens", "NotReady"]);
const FIRST_PAUSE_MS = 25;
const MAX_PAUSE_MS = 250;
/** Ports that were asked for, so that only a new one is waited for. */
const MAX_REMEMBERED_PORTS = 16_384;

/** A connection could not be made. */
export class OpenFailed extends Error implements UpstreamFailure {
  readonly code: RefusalCode;
  readonly problem: string;

  constructor(code: RefusalCode, problem: string, options?: { cause?: unknown }) {
    super(problem, options);
    this.name = "OpenFailed";
    this.code = code;
    this.problem = problem;
  }
}

/** A paused stream into a sandbox. `read`: its bytes go there and not by "data"; unset for one that was opened plainly. */
export interface OpenedPort {
  readonly stream: Duplex;
  readonly read: DirectPort["read"] | undefined;
}

export interface RouteOpenerOptions {
  readonly currentRoute: (sandboxId: string) => Route | undefined;
  readonly openMs: number;
  readonly startRetryMs: number;
}

export class RouteOpener {
  readonly #options: RouteOpenerOptions;
  /** When a port was asked for first, by instance and port. */
  readonly #firstAskedMs = new Map<string, number>();

  constructor(options: RouteOpenerOptions) {
    this.#options = options;
  }

  /**
   * Opens a port, of the route as it is by then. `plain`: for somebody who needs a stream like any other. Rejects with
   * {@link OpenFailed}, or the signal's reason.
   */
  async open(
    first: Route,
    port: number,
    plain: boolean,
    signal: AbortSignal,
  ): Promise<OpenedPort & { readonly route: Route }> {
    const askedMs = performance.now();
    let route = first;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const opened = await this.#try(route, port, plain, signal);
      if (!(opened instanceof OpenError)) return { ...opened, route };
      if (!PASSING.has(opened.code) || performance.now() + pauseMs > this.#retryUntilMs(route, port, askedMs)) {
        throw new OpenFailed(FAILURES[opened.code], opened.message, { cause: opened });
      }
      await sleep(pauseMs, undefined, { signal });
      route = this.#options.currentRoute(route.sandboxId) ?? route;
      if (route.state === "ended") throw new OpenFailed("SandboxEnded", "the sandbox has ended");
    }
  }

  async #try(route: Route, port: number, plain: boolean, signal: AbortSignal): Promise<OpenedPort | OpenError> {
    const { instanceId, sandboxId } = route;
    if (instanceId === "") return new OpenError("NotReady");
    try {
      const target = { sandboxId, instanceId, port, grantPort: port };
      const options = { signal, timeoutMs: this.#options.openMs };
      if (plain) return { stream: await openPort(route.gateway, target, options), read: undefined };
      const { read, socket } = await openPortDirect(route.gateway, target, options);
      return { stream: socket, read };
    } catch (error) {
      if (error instanceof OpenError) return error;
      throw error;
    }
  }

  /** A starting sandbox is waited for by each request; a port of a running one by those that come when it is new to us. */
  #retryUntilMs(route: Route, port: number, askedMs: number): number {
    const { startRetryMs } = this.#options;
    const firstMs = this.#firstAsked(`${route.instanceId}:${port}`, askedMs);
    return (route.state === "starting" ? askedMs : firstMs) + startRetryMs;
  }

  #firstAsked(key: string, nowMs: number): number {
    const known = this.#firstAskedMs.get(key);
    if (known !== undefined) return known;
    if (this.#firstAskedMs.size >= MAX_REMEMBERED_PORTS) {
      const [oldest] = this.#firstAskedMs.keys();
      if (oldest !== undefined) this.#firstAskedMs.delete(oldest);
    }
    this.#firstAskedMs.set(key, nowMs);
    return nowMs;
  }
}
