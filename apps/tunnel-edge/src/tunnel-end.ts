// What is known of a connection when it is over: for the log and the metrics.
import type { OpenErrorCode } from "@sallyport/dataplane";
import type { Http2RelayEnd } from "./h2/relay-result.ts";

/** By which door it came: TLS, TLS with HTTP/2, or a public port. */
export type TunnelKind = "tls" | "h2" | "raw";

/** Why a connection is over. */
export type EndReason =
  /** Both sides ended their halves. */
  | "complete"
  | "client-cut"
  | "sandbox-cut"
  /** One of the two, it is not known which. */
  | "cut"
  /** HTTP/2 was not spoken as it must be, by one side or the other, or not begun in time. */
  | "client-error"
  | "sandbox-error"
  | "handshake-timeout"
  | "idle"
  /** The sandbox is over, or its client may not come any more. */
  | "revoked"
  /** It made room for others: there were too many. */
  | "shed"
  /** The edge stopped, and its time for that was over. */
  | "stopped"
  | OpenFailure;

/** Why the sandbox was never reached. */
export type OpenFailure =
  | "nothing-listens"
  | "not-ready"
  | "ended"
  | "gateway"
  | "timeout"
  | "client-gone"
  | "internal";

export interface TunnelEnd {
  readonly kind: TunnelKind;
  readonly sandboxId: string;
  /** In the sandbox. */
  readonly port: number;
  /** The client's address. */
  readonly peer: string;
  readonly reason: EndReason;
  /** Bytes of the client's and of the sandbox's; under TLS, without what TLS adds. */
  readonly inBytes: number;
  readonly outBytes: number;
  readonly ms: number;
}

/** What each refusal of the gateway is. */
export const OPEN_FAILURES: Readonly<Record<OpenErrorCode, OpenFailure>> = {
  BadRequest: "internal",
  NotGranted: "internal",
  // The route says that there is one: the gateway does not know it yet, or no longer.
  NotFound: "not-ready",
  Ended: "ended",
  NothingListens: "nothing-listens",
  NotReady: "not-ready",
  GatewayUnavailable: "gateway",
  Timeout: "timeout",
};

export const HTTP2_ENDS: Readonly<Record<Http2RelayEnd, EndReason>> = {
  ended: "complete",
  drained: "complete",
  "client-error": "client-error",
  "sandbox-error": "sandbox-error",
  "handshake-timeout": "handshake-timeout",
  broken: "cut",
  idle: "idle",
  destroyed: "stopped",
};
