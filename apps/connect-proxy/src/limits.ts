// Every bound of the proxy's core, with its default.
import type { HeadLimits } from "./head/request-head.ts";

/** Times in milliseconds. */
export interface CoreLimits extends HeadLimits {
  /** From a request's first byte to the end of its head; for a connection's first request from its beginning. */
  readonly headMs: number;
  /** Between two requests of a connection. */
  readonly idleMs: number;
  /** Between two pieces of a request's body, and between two pieces that a client takes of an answer. */
  readonly stallMs: number;
  /** From the end of a request to the head of its answer. */
  readonly answerMs: number;
  /** Between two pieces of an answer. */
  readonly answerIdleMs: number;
  /** A client that has closed its half is taken for gone when no answer, or no more of it, comes within this. */
  readonly halfClosedMs: number;
  /** How long an exchange may outlive its token that has expired; one that is revoked ends it at once. */
  readonly outliveMs: number;
  /** How long bytes of a client are still read after the last answer of its connection, so that it gets that answer. */
  readonly lingerMs: number;
  /** How long a connection into a sandbox may take to be made. */
  readonly openMs: number;
  /** How long a port is asked for again at which nothing listens yet, while its sandbox is young or starting. */
  readonly startRetryMs: number;
  /** Idle connections into sandboxes: how long, for one port of one instance, in all. */
  readonly poolIdleMs: number;
  readonly maxPooledPerPort: number;
  readonly maxPooled: number;
  /** Of one sandbox, at the same time. */
  readonly maxRequestsPerSandbox: number;
  readonly maxWebSocketsPerSandbox: number;
  /** In all, at the same time. */
  readonly maxWebSockets: number;
}

const KIB = 1_024;

export const DEFAULT_LIMITS: CoreLimits = {
  maxHeadBytes: 32 * KIB,
  maxHeaders: 128,
  maxUrlBytes: 8 * KIB,
  headMs: 10_000,
  idleMs: 60_000,
  stallMs: 60_000,
  answerMs: 300_000,
  answerIdleMs: 3_600_000,
  // Browsers and most programs close their half when they go, not when they have asked.
  halfClosedMs: 10_000,
  outliveMs: 900_000,
  lingerMs: 2_000,
  openMs: 15_000,
  startRetryMs: 3_000,
  // Below the five seconds after which many servers close: a request must not meet a connection that is going.
  poolIdleMs: 4_000,
  maxPooledPerPort: 64,
  maxPooled: 1_024,
  // The gateway opens at most 512 connections into an instance, WebSockets and other proxies' included.
  maxRequestsPerSandbox: 384,
  maxWebSocketsPerSandbox: 256,
  maxWebSockets: 8_192,
};

/** What counts against what, and is no setting. */
export const MAX_INFORMATIONAL_ANSWERS = 16;
/** Bytes of further requests that are read while one is being answered. */
export const MAX_EARLY_BYTES = 65_536;
/** How often time limits are looked at. */
export const TICK_MS = 250;
