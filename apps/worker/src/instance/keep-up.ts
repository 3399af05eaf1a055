// Keeping a running thing up to date: a step that is done again after each change, and again when it failed.
import type { Clock } from "@sallyport/appkit/clock";
import { Backoff } from "@sallyport/appkit/retry";
import { untilAborted } from "./until-aborted.ts";

/** Word that something changed. */
export class Changes {
  readonly #waiting = new Set<() => void>();

  announce(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Resolves with the next announcement. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}

export interface KeepUpOptions {
  readonly changes: Changes;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onFailure: (error: unknown) => void;
}

/** Does the step now and after each change. Ends only by rejecting with the signal's reason, never within a step. */
export async function keepUp(step: () => Promise<void>, options: KeepUpOptions): Promise<never> {
  const { changes, clock, signal, onFailure } = options;
  const backoff = new Backoff({ firstMs: 100, maxMs: 2_000, clock });
  for (;;) {
    signal.throwIfAborted();
    const changed = changes.next(); // before the step, so that a change during it counts
    try {
      await step();
    } catch (error) {
      signal.throwIfAborted();
      onFailure(error);
      await backoff.pause(signal);
      continue;
    }
    backoff.reset();
    await untilAborted(changed, signal);
  }
}
