// Bounds of one HTTP/2 connection. Those of requests are the core's.

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

/** Memory of one connection that the library may hold, in megabytes: header tables, frames that wait. */
export const MAX_SESSION_MEGABYTES = 4;
/** Frames that make no sense in their place, before the connection ends. */
export const MAX_INVALID_FRAMES = 32;
/** Streams that are opened beyond the bound, before the connection ends. */
export const MAX_REJECTED_STREAMS = 256;
/** Settings in one frame. */
export const MAX_SETTINGS = 16;
