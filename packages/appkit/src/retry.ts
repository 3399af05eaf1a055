// Doing a thing again after a failure, with growing, jittered pauses.
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";

export interface BackoffOptions {
  readonly firstMs?: number;
  readonly maxMs?: number;
  readonly clock?: Clock;
}

/** Pauses that double from `firstMs` (100) to `maxMs` (5,000), each shortened at random by up to a half. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #clock: Clock;
  #nextMs: number;

  constructor(options: BackoffOptions = {}) {
    this.#firstMs = options.firstMs ?? 100;
    this.#maxMs = options.maxMs ?? 5_000;
    this.#clock = options.clock ?? systemClock;
    this.#nextMs = this.#firstMs;
  }

  /** After a success: the next pause is short again. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }

  /** Waits for the next pause; rejects with the signal's reason when aborted. */
  async pause(signal?: AbortSignal): Promise<void> {
    const ms = this.#nextMs * (0.5 + Math.random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#maxMs);
    await this.#clock.sleep(ms, signal);
  }

  /** {@link pause} for loops that look at the signal themselves: ends early, and well, when it is aborted. */
  async pauseOrAbort(signal: AbortSignal): Promise<void> {
    try {
      await this.pause(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** Runs `attempt` until it ends well or the signal is aborted; never rejects but for the signal. */
export async function keepTrying(
  attempt: (signal: AbortSignal) => Promise<void>,
  onFailure: (error: unknown) => void,
  signal: AbortSignal,
  options: BackoffOptions = {},
): Promise<void> {
  const backoff = new Backoff(options);
  while (!signal.aborted) {
    try {
      await attempt(signal);
      return;
    } catch (error) {
      if (signal.aborted) return;
      onFailure(error);
    }
    await backoff.pauseOrAbort(signal);
  }
}
