// How often an asker may ask: a bucket of tokens for each, which fills at the allowed rate.

import type { Clock } from "@sallyport/appkit/clock";

export interface RateOptions {
  readonly clock: Clock;
  readonly perSecond: number;
  /** So many at once, after a rest. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Askers that are remembered; a machine has fewer slots. */
const MAX_BUCKETS = 65_536;

export class Rates {
  readonly #options: RateOptions;
  /** The one that was used last comes last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateOptions) {
    this.#options = options;
  }

  /** Takes a token; false where there is none. */
  take(client: string): boolean {
    const { clock, perSecond, burst } = this.#options;
    const now = clock.monotonicMs();
    const bucket = this.#buckets.get(client) ?? { tokens: burst, atMs: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.atMs) * perSecond) / 1000);
    bucket.atMs = now;
    const allowed = bucket.tokens >= 1;
    if (allowed) bucket.tokens -= 1;
    this.#buckets.delete(client);
    this.#buckets.set(client, bucket);
    this.#forget(now);
    return allowed;
  }

  /** A bucket that is full again says nothing; the one that was just used is not. */
  #forget(now: number): void {
    const { perSecond, burst } = this.#options;
    for (const [client, bucket] of this.#buckets) {
      const isFull = bucket.tokens + ((now - bucket.atMs) * perSecond) / 1000 >= burst;
      if (!isFull && this.#buckets.size <= MAX_BUCKETS) return;
      this.#buckets.delete(client);
    }
  }
}
