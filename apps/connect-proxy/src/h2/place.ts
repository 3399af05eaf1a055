// What connections and streams of the HTTP/2 front have in common.
import type { Deadlines } from "../deadlines.ts";
import type { GrantWatch, Observe, Rules } from "../exchange.ts";
import type { NamedHost } from "../head/host.ts";
import type { CoreLimits } from "../limits.ts";
import type { AnswerSink, UpstreamExchange, UpstreamRequest } from "../upstream/types.ts";
import type { StreamLimits } from "./limits.ts";
import type { Outflow } from "./outflow.ts";
import type { StreamExchange } from "./stream-exchange.ts";
import type { Closing } from "./streams.ts";

/** The front's surroundings. */
export interface StreamPlace {
  readonly rules: Rules;
  readonly watch: GrantWatch;
  readonly upstream: { request(request: UpstreamRequest, sink: AnswerSink): UpstreamExchange };
  readonly limits: CoreLimits;
  readonly streamLimits: StreamLimits;
  readonly readHost: (host: string) => NamedHost;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/** Of a connection whose handshake is done. */
export interface ClientAddress {
  /** Without port. */
  readonly peerAddress: string;
  /** By SNI, in lower case; the certificate is for it. */
  readonly servername: string;
}

/** What a stream asks of its connection. */
export interface StreamOwner extends ClientAddress {
  readonly outflow: Outflow;
  /** Bytes that the client takes of an answer before it says more (RFC 9113, section 6.9.2). */
  readonly initialWindow: number;
  /** The client broke a rule on one of its streams. Throws `Http2Error` where that was once too often. */
  onFault(): void;
  onStreamOver(exchange: StreamExchange, closing: Closing): void;
}
