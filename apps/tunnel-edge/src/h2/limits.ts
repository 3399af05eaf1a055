// Bounds of one connection of HTTP/2, for whom the sandbox is not there to hold them.
import type { Http2RateLimits } from "@sallyport/edge";

/**
 * Refused are streams for other hosts, malformed ones and others that go no further. A client that is told 421 opens a
 * connection.
 */
export interface Http2Limits extends Http2RateLimits {
  /** Streams that are open at the same time, SETTINGS_MAX_CONCURRENT_STREAMS; the sandbox may allow fewer. */
  readonly maxStreams: number;
  /** Bytes of a header list, SETTINGS_MAX_HEADER_LIST_SIZE, and of a block before it is decoded. */
  readonly maxHeaderListBytes: number;
  readonly maxBlockBytes: number;
  /** CONTINUATION frames of one block (CVE-2024-27316). */
  readonly maxContinuations: number;
  /** SETTINGS that one side has sent and the other has not acknowledged. */
  readonly maxUnacknowledgedSettings: number;
  /** Streams that are over and remembered, for what is still under way to them. */
  readonly closedStreamsKept: number;
  /** Bytes that wait for a client that does not read: above what back-pressure lets the sandbox send. */
  readonly maxWaitingBytes: number;
  /**
   * Bytes that wait for a sandbox that does not read: beyond, no more frames of the client are taken. No fewer than a socket
   * takes before it asks for a pause.
   */
  readonly maxSandboxWaitingBytes: number;
  /** Until both sides have said their settings. */
  readonly handshakeMs: number;
  /** For the last bytes to reach a peer that is told why it ends. */
  readonly lingerMs: number;
}

const KIB = 1_024;

export const DEFAULT_HTTP2_LIMITS: Http2Limits = {
  maxStreams: 256,
  maxHeaderListBytes: 64 * KIB,
  maxBlockBytes: 64 * KIB,
  maxContinuations: 32,
  controlBurst: 5_000,
  controlsPerSecond: 1_000,
  // What Node's own server takes: a relay that took less would stand in the way of programs that cancel often.
  resetBurst: 1_000,
  resetsPerSecond: 33,
  maxRefusedStreams: 1_000,
  maxUnacknowledgedSettings: 32,
  closedStreamsKept: 512,
  maxWaitingBytes: 512 * KIB,
  maxSandboxWaitingBytes: 128 * KIB,
  handshakeMs: 10_000,
  lingerMs: 1_000,
};
