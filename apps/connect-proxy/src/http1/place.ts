// What connections and exchanges of the HTTP/1 front have in common.
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Deadlines } from "../deadlines.ts";
import type { GrantWatch, Observe, Rules } from "../exchange.ts";
import type { FieldBlocks } from "../head/field-block.ts";
import type { NamedHost } from "../head/host.ts";
import type { CoreLimits } from "../limits.ts";
import type { AnswerSink, UpstreamExchange, UpstreamRequest } from "../upstream/types.ts";
import type { WebSockets } from "../websocket.ts";

/** The front's surroundings. */
export interface Http1Place {
  readonly rules: Rules;
  readonly watch: GrantWatch;
  readonly upstream: { request(request: UpstreamRequest, sink: AnswerSink): UpstreamExchange };
  readonly webSockets: WebSockets;
  readonly limits: CoreLimits;
  readonly readHost: (host: string) => NamedHost;
  readonly fieldBlocks: FieldBlocks;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/** A client, its handshake done. */
export interface Client {
  /** Without port. */
  readonly peerAddress: string;
  /** By SNI, in lower case: every request has to be for it. */
  readonly servername: string;
  /** The TCP connection below TLS: it is reset where an answer must not seem whole. */
  readonly transport?: Socket | undefined;
}

/** What an exchange asks of its client's connection. */
export interface Http1Owner extends Client {
  readonly stream: Duplex;
  /** No further request is taken. */
  readonly isLast: boolean;
  /** Bytes of the client's that nobody has read. */
  readonly unreadBytes: number;
  /** The exchange reads a body from now on, or can take more of it. */
  onBodyWanted(): void;
  /** A part of the answer is written. `isFull`: the client takes no more for now. */
  onWritten(isFull: boolean): void;
  /** The client's next request may come, or is there already. */
  onAnswered(keepAlive: boolean): void;
  /** Breaks off, so that nobody takes what was sent for whole. */
  cut(): void;
  /** The stream is somebody else's from now on; gives what was read of it. */
  handOver(): Buffer;
}
