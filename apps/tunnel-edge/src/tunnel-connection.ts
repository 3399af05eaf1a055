// One connection of a client that was let in: opens its port in the sandbox at once, since many servers speak first, and
// relays until one side or the platform has enough.
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { mapResets, noticeGonePeer, OpenError, relay, reset } from "@sallyport/dataplane";
import { formatProxyHeader } from "@sallyport/dataplane/proxy-v2";
import type { ClientEnds } from "@sallyport/edge";
import type { OpenConnection } from "./connections.ts";
import type { Http2Relay } from "./h2/relay.ts";
import { relayHttp2 } from "./h2/relay.ts";
import type { TunnelLimits } from "./limits.ts";
import { KEEP_ALIVE_MS, LAST_WORD_MS } from "./limits.ts";
import type { OpenedWay } from "./open-way.ts";
import { openWay } from "./open-way.ts";
import type { Paces } from "./paces.ts";
import type { EndReason, TunnelEnd, TunnelKind } from "./tunnel-end.ts";
import { HTTP2_ENDS, OPEN_FAILURES } from "./tunnel-end.ts";
import type { Way, Ways } from "./ways.ts";

/** Who has come, and may go this way. */
export interface Arrival {
  readonly way: Way;
  readonly kind: TunnelKind;
  /** The client's bytes: of TLS, or of the connection itself. Nobody has listened to it yet; it may hold some. */
  readonly stream: Duplex;
  /** The TCP connection. */
  readonly transport: Socket;
  readonly client: ClientEnds;
  /** Of TLS: in lower case, without a final dot. */
  readonly serverName: string | undefined;
}

export interface ConnectionPlace {
  readonly ways: Ways;
  readonly limits: TunnelLimits;
  readonly paces: Paces;
  /** The port that clients name beside a host; undefined: the one that they came to. */
  readonly publicPort: number | undefined;
}

interface Outcome {
  readonly reason: EndReason;
  readonly inBytes: number;
  readonly outBytes: number;
}

export class TunnelConnection implements OpenConnection {
  readonly #place: ConnectionPlace;
  readonly #arrival: Arrival;
  readonly #stop = new AbortController();
  /** The incarnation that it leads to, once it does. */
  #instanceId: string | undefined;
  #cutReason: EndReason | undefined;
  #http2: Http2Relay | undefined;
  #isDraining = false;

  constructor(place: ConnectionPlace, arrival: Arrival) {
    this.#place = place;
    this.#arrival = arrival;
  }

  get sandboxId(): string {
    return this.#arrival.way.route.sandboxId;
  }

  get transport(): Socket {
    return this.#arrival.transport;
  }

  mayStay(): boolean {
    const route = this.#route();
    return route !== undefined && (this.#instanceId === undefined || this.#instanceId === route.instanceId);
  }

  cut(reason: EndReason): void {
    this.#cutReason ??= reason;
    this.#http2?.destroy();
    reset(this.#arrival); // whatever was under way is not complete
    this.#stop.abort();
  }

  drain(): void {
    this.#isDraining = true;
    this.#http2?.drain();
  }

  /** Never rejects; the client's connection is over then, or is being ended. */
  async run(): Promise<TunnelEnd> {
    const { client, kind, stream, transport, way } = this.#arrival;
    const startedMs = performance.now();
    stream.on("error", ignoreBecauseCloseFollows);
    transport.setKeepAlive(true, KEEP_ALIVE_MS);
    noticeGonePeer({ stream, transport });
    const outcome = await this.#serve();
    const ms = performance.now() - startedMs;
    return { kind, sandboxId: this.sandboxId, port: way.tunnel.port, peer: client.source.address, ms, ...outcome };
  }

  async #serve(): Promise<Outcome> {
    const opened = await this.#open();
    if (typeof opened === "string") {
      this.#endUnopened();
      return { reason: opened, inBytes: 0, outBytes: 0 };
    }
    this.#instanceId = opened.instanceId;
    if (!this.mayStay()) this.cut("revoked");
    if (this.#arrival.way.tunnel.proxyProtocol) {
      opened.stream.write(formatProxyHeader({ kind: "tcp", ...this.#arrival.client }));
    }
    return this.#arrival.kind === "h2" ? await this.#relayHttp2(opened.stream) : await this.#relay(opened.stream);
  }

  /** The open port, or why there is none. */
  async #open(): Promise<OpenedWay | EndReason> {
    const { stream, way } = this.#arrival;
    const { signal } = this.#stop;
    const onGone = () => this.#stop.abort();
    stream.once("close", onGone);
    if (stream.destroyed) onGone();
    try {
      const opened = await openWay({
        port: way.tunnel.port,
        current: () => this.#route(),
        limits: this.#place.limits,
        signal,
      });
      if (!signal.aborted) return opened;
      opened.stream.destroy();
    } catch (error) {
      if (!signal.aborted) return error instanceof OpenError ? OPEN_FAILURES[error.code] : "internal";
    } finally {
      stream.off("close", onGone);
    }
    return this.#cutReason ?? "client-gone";
  }

  async #relay(sandbox: Duplex): Promise<Outcome> {
    const { limits, paces } = this.#place;
    const { kind, stream, transport, way } = this.#arrival;
    const resets = mapResets({ stream, transport }, { stream: sandbox });
    const idleMs = kind === "raw" ? limits.rawIdleMs : limits.idleMs;
    const { backwardBytes, end, forwardBytes } = await relay(paces.paced(way.tunnel, stream), sandbox, {
      signal: this.#stop.signal,
      idleMs: idleMs === 0 ? undefined : idleMs,
    });
    const broken = resets.by === "left" ? "client-cut" : "sandbox-cut";
    const reason = { ended: "complete", broken, idle: "idle", aborted: "stopped" } as const;
    return { reason: this.#cutReason ?? reason[end], inBytes: forwardBytes, outBytes: backwardBytes };
  }

  async #relayHttp2(sandbox: Duplex): Promise<Outcome> {
    const { limits, paces, publicPort } = this.#place;
    const { client, serverName = "", stream, way } = this.#arrival;
    this.#http2 = relayHttp2(paces.paced(way.tunnel, stream), sandbox, {
      serverName,
      publicPort: publicPort ?? client.destination.port,
      idleMs: limits.idleMs === 0 ? undefined : limits.idleMs,
    });
    if (this.#cutReason !== undefined) this.#http2.destroy();
    if (this.#isDraining) this.#http2.drain();
    const { clientBytes, end, sandboxBytes } = await this.#http2.done;
    return { reason: this.#cutReason ?? HTTP2_ENDS[end], inBytes: clientBytes, outBytes: sandboxBytes };
  }

  /** What a client of TLS is told is an end; one of TCP alone must not take it for one. */
  #endUnopened(): void {
    const { kind, stream } = this.#arrival;
    if (kind === "raw" || stream.destroyed) {
      reset(this.#arrival);
      return;
    }
    stream.end();
    stream.resume(); // what is sent meanwhile must not turn the end into a reset
    const timer = setTimeout(() => stream.destroy(), LAST_WORD_MS);
    stream.once("close", () => clearTimeout(timer));
  }

  #route() {
    return this.#place.ways.current(this.#arrival.way, this.#arrival.client.source.address);
  }
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error", and is what ends the connection.
}
