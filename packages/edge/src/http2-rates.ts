// How often a client may do what costs others more than itself.
import { Http2Error } from "@sallyport/dataplane/http2";
import { TokenBucket } from "@sallyport/edge";
import type { Http2Limits } from "./limits.ts";

/** What a client did, though a frame of the sandbox brings it to light. */
export class ClientFault extends Http2Error {}

const RESETS = "too many streams are reset";

export class Rates {
  readonly #controls: TokenBucket;
  readonly #resets: TokenBucket;
  readonly #maxRefused: number;
  #refused = 0;

  constructor(limits: Http2Limits, now: () => number) {
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

  /** A stream that the client resets, or has reset here. */
  reset(): void {
    if (!this.#resets.take()) throw new Http2Error("ENHANCE_YOUR_CALM", RESETS);
  }

  /** A stream that the sandbox resets for what the client did. Throws {@link ClientFault}. */
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
