// What is said of a relay: how it is begun, and how it ended.
import type { Http2Limits } from "./limits.ts";
import type { Place } from "./request-decision.ts";

/** Why a relay ended. */
export type Http2RelayEnd =
  /** One side ended the connection, and the other one followed. */
  | "ended"
  /** The client broke a rule, or went beyond a limit. */
  | "client-error"
  /** What listens in the sandbox broke a rule: most often it does not speak HTTP/2 with prior knowledge. */
  | "sandbox-error"
  /** One side did not say its settings in time. */
  | "handshake-timeout"
  /** A socket broke. */
  | "broken"
  /** No byte went either way for the idle limit. */
  | "idle"
  /** In good order, as was asked for. */
  | "drained"
  /** At once, as was asked for. */
  | "destroyed";

export interface Http2RelayResult {
  readonly end: Http2RelayEnd;
  /** The rule or the limit, in words of ours. */
  readonly problem: string | undefined;
  /** Bytes from the client, and from the sandbox. */
  readonly clientBytes: number;
  readonly sandboxBytes: number;
  /** Streams that the sandbox got, and those that were refused here. */
  readonly streams: number;
  readonly refusedStreams: number;
}

export interface Http2RelayOptions extends Place {
  /** No limit when unset. */
  readonly idleMs?: number | undefined;
  readonly limits?: Http2Limits | undefined;
  /** Milliseconds; `performance.now` when unset. */
  readonly now?: (() => number) | undefined;
}
