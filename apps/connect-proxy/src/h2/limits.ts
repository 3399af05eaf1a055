// Bounds of one HTTP/2 connection. Those of requests are the core's.
import type { HeaderBlockLimits } from "@sallyport/dataplane/http2";
import type { Http2RateLimits } from "@sallyport/edge";

export interface StreamLimits {
  /** Streams that are open at the same time, SETTINGS_MAX_CONCURRENT_STREAMS. */
  readonly maxStreams: number;
  /** Streams that a client may reset: so many at once, then so many each second (CVE-2023-44487). */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** Bytes of bodies that may be under way to us before they are taken: of one stream, of all of a connection. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
}

const KIB = 1_024;

export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  maxStreams: 100,
  resetBurst: 200,
  resetsPerSecond: 20,
  streamWindowBytes: 128 * KIB,
  // Over the window of one stream: an upload that an app does not take leaves room for others.
  connectionWindowBytes: 1_024 * KIB,
};

/** What a client may do how often, beside its resets. */
export const RATE_LIMITS: Omit<Http2RateLimits, "resetBurst" | "resetsPerSecond"> = {
  controlBurst: 1_000,
  controlsPerSecond: 500,
  // A client may open more streams than it may have before it hears how many that are.
  maxRefusedStreams: 256,
};
export const BLOCK_LIMITS: HeaderBlockLimits = { maxBlockBytes: 64 * KIB, maxContinuations: 32 };
/** A head that unpacks to so many times what it may have is answered no more: no honest client makes one. */
export const MAX_HEAD_EXCESS = 32;
/** Settings in one frame. */
export const MAX_SETTINGS = 16;
/** Bytes for a client that does not read: with more of them nothing more of it is read. */
export const MAX_UNSENT_BYTES = 256 * KIB;
