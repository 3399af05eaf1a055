// How often a client of HTTP/2 may do what costs others more than itself.
import { Http2Error } from "@sallyport/dataplane/http2";
import { TokenBucket } from "./token-bucket.ts";

export interface Http2RateLimits {
  /**
   * Frames of a client that carry nothing on: SETTINGS, PING, PRIORITY, GOAWAY, empty DATA, unknown ones (CVE-2019-9512,
   * 9513, 9515, 9518). So many at once, then so many each second; a peer that measures a path by PING sends one each round trip.
   */
  readonly controlBurst: number;
  readonly controlsPerSecond: number;
  /** Streams that a client resets, or makes somebody reset by what it sends (CVE-2023-44487, CVE-2025-8671). */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** Streams that are refused, of a connection in all. */
  readonly maxRefusedStreams: number;
}

/** What a client did, though a frame of somebody else brings it to light. */
export class ClientFault extends Http2Error {}

const RESETS = "too many streams are reset";

export class Http2Rates {
  readonly #controls: TokenBucket;
  readonly #resets: TokenBucket;
  readonly #maxRefused: number;
  #refused = 0;

  constructor(limits: Http2RateLimits, now: () => number) {
    this.#controls = new TokenBucket(limits.controlBurst, limits.controlsPerSecond, now);
    this.#resets = new TokenBucket(limits.resetBurst, limits.resetsPerSecond, now);
    this.#maxRefused = limits.maxRefusedStreams;
  }

  /** Streams that were refused. */
  get refused(): number {
    return this.#refused;
  }

  /** A frame that carries nothing on. */
  control(): void {
    if (!this.#controls.take()) throw new Http2Error("ENHANCE_YOUR_CALM", "too many frames that carry nothing");
  }

  /** A stream that the client resets, or has reset by what it sends. */
  reset(): void {
    if (!this.#resets.take()) throw new Http2Error("ENHANCE_YOUR_CALM", RESETS);
  }

  /** A stream that a peer behind resets for what the client did. Throws {@link ClientFault}. */
  provokedReset(): void {
    if (!this.#resets.take()) throw new ClientFault("ENHANCE_YOUR_CALM", RESETS);
  }

  refusal(): void {
    this.#refused += 1;
    if (this.#refused > this.#maxRefused) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "too many streams are refused");
    }
  }
}
