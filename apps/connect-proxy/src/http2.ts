// The front of HTTP/2 (RFC 9113): takes connections whose ALPN chose h2, and makes each of their streams an exchange.
// Neither ORIGIN nor ALTSVC nor a push is ever sent, and extended CONNECT (RFC 8441) is not offered: browsers open their
// WebSockets over HTTP/1.1 then.
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants, performServerHandshake } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { TableChange } from "@sallyport/dataplane/routes";
import type { Timed } from "./deadlines.ts";
import { concerns } from "./grant-change.ts";
import type { StreamLimits } from "./h2/limits.ts";
import { MAX_INVALID_FRAMES, MAX_REJECTED_STREAMS, MAX_SESSION_MEGABYTES, MAX_SETTINGS } from "./h2/limits.ts";
import type { StreamOwner, StreamPlace } from "./h2/stream-exchange.ts";
import { StreamExchange } from "./h2/stream-exchange.ts";
import { hostReader } from "./head/host.ts";

export interface Http2FrontOptions extends Omit<StreamPlace, "readHost"> {
  /** Sandboxes' hosts are one label below it. In lower case. */
  readonly connectDomain: string;
  readonly streamLimits: StreamLimits;
}

/** Of a connection whose handshake is done. */
export interface ClientAddress {
  /** Without port. */
  readonly peerAddress: string;
  /** By SNI, in lower case. */
  readonly servername: string;
}

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR } = constants;
/** "I take no more streams, but still know those on their way" (section 6.8). */
const ANY_STREAM = 2 ** 31 - 1;

/** Disposal cuts all connections. */
export class Http2Front implements Disposable {
  readonly #options: ConnectionOptions;
  readonly #connections = new Set<ClientConnection>();
  readonly #changes: Disposable;
  #isDraining = false;

  constructor(options: Http2FrontOptions) {
    this.#options = { ...options, readHost: hostReader(options.connectDomain) };
    this.#changes = options.watch.onChange((change) => {
      for (const connection of this.#connections) connection.cutRevoked(change);
    });
  }

  /** How many connections are open. */
  get size(): number {
    return this.#connections.size;
  }

  /** Takes a connection, from the first byte behind its handshake on. */
  serve(socket: TLSSocket, client: ClientAddress): void {
    const connection = new ClientConnection(socket, client, this.#options, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    if (this.#isDraining) connection.drain();
  }

  /** Tells all clients to go elsewhere; what is under way goes on to its end, and with the last of it each connection. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.drain();
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
    for (const connection of this.#connections) connection.destroy();
  }
}

type ConnectionOptions = Http2FrontOptions & StreamPlace;

class ClientConnection implements StreamOwner, Timed {
  readonly peerAddress: string;
  readonly servername: string;
  /** Without streams it has until then. */
  deadlineMs: number;
  readonly #options: ConnectionOptions;
  readonly #session: ServerHttp2Session;
  readonly #open = new Set<StreamExchange>();
  #isDraining = false;
  #isClosing = false;

  constructor(socket: TLSSocket, client: ClientAddress, options: ConnectionOptions, onOver: () => void) {
    const { deadlines, limits, streamLimits } = options;
    this.peerAddress = client.peerAddress;
    this.servername = client.servername;
    this.#options = options;
    this.#session = performServerHandshake(socket, {
      settings: {
        enablePush: false,
        enableConnectProtocol: false,
        initialWindowSize: streamLimits.streamWindowBytes,
        maxConcurrentStreams: streamLimits.maxStreams,
        maxHeaderListSize: limits.maxHeadBytes,
      },
      // Pseudo-headers count here too; what has too many is refused by its head's own bound, with an answer.
      maxHeaderListPairs: limits.maxHeaders * 2,
      maxSessionInvalidFrames: MAX_INVALID_FRAMES,
      maxSessionMemory: MAX_SESSION_MEGABYTES,
      maxSessionRejectedStreams: MAX_REJECTED_STREAMS,
      maxSettings: MAX_SETTINGS,
      streamResetBurst: streamLimits.resetBurst,
      streamResetRate: streamLimits.resetsPerSecond,
      strictFieldWhitespaceValidation: true,
      // What an app says twice its client hears twice, as over HTTP/1.1.
      strictSingleValueFields: false,
    });
    this.deadlineMs = deadlines.nowMs + limits.headMs;
    deadlines.watch(this);
    const session = this.#session;
    session.on("stream", (stream, _headers, flags, raw) => this.#onStream(stream, flags, raw));
    // Who ends its half has nothing more to say that HTTP/2 needs: acknowledgements, windows, pings.
    socket.once("end", () => session.destroy());
    session.on("error", ignore); // a session that fails is closed, and that is told
    session.on("connect", () => {
      if (!session.destroyed) session.setLocalWindowSize(streamLimits.connectionWindowBytes);
    });
    session.once("close", () => {
      deadlines.forget(this);
      onOver();
    });
  }

  drain(): void {
    const session = this.#session;
    if (this.#isDraining || session.destroyed || session.closed) return;
    this.#isDraining = true;
    // In two steps, a round trip apart: streams that the client opens meanwhile are served, not lost.
    session.goaway(NGHTTP2_NO_ERROR, ANY_STREAM);
    if (!session.ping(() => this.#close())) this.#close();
  }

  destroy(): void {
    for (const exchange of this.#open) exchange.revoke("ShuttingDown");
    this.#session.destroy();
  }

  /** A token that is only too old lets what it began come to its end; one that is revoked does not. */
  cutRevoked(change: TableChange): void {
    for (const exchange of this.#open) {
      const { grant } = exchange;
      if (grant === undefined || !concerns(change, grant)) continue;
      const problem = this.#options.watch.grantProblem(grant);
      if (problem !== undefined && problem !== "Expired" && problem !== "SandboxEnded") exchange.revoke(problem);
    }
  }

  onStreamOver(exchange: StreamExchange): void {
    this.#open.delete(exchange);
    const { deadlines, limits } = this.#options;
    if (this.#open.size === 0) this.deadlineMs = deadlines.roughMs + limits.idleMs;
  }

  onDeadline(): void {
    if (this.#isClosing) this.destroy();
    else {
      this.#close();
      this.deadlineMs = this.#options.deadlines.nowMs + this.#options.limits.lingerMs;
    }
  }

  #close(): void {
    this.#isClosing = true;
    if (!this.#session.destroyed && !this.#session.closed) this.#session.close();
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    if (stream.destroyed) return; // reset by its own client before anybody looked at it
    this.deadlineMs = Number.POSITIVE_INFINITY;
    const isWhole = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    const exchange = new StreamExchange(stream, isWhole, this, this.#options);
    this.#open.add(exchange);
    exchange.begin(raw);
  }
}

function ignore(): void {}
