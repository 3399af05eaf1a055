// So many at once and no more. Creates of one worker wait for each other in the database anyway; without this, a crowd of
// them would hold every connection while they wait, and reports of workers and all else would wait behind them.
import { AppError } from "@sallyport/appkit/errors";

export interface TurnstileOptions {
  readonly places: number;
  /** Who has waited for so long is sent away with Unavailable. */
  readonly maxWaitMs: number;
}

/** Lets callers in, first come, first served. */
export class Turnstile {
  readonly #maxWaitMs: number;
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(options: TurnstileOptions) {
    this.#free = options.places;
    this.#maxWaitMs = options.maxWaitMs;
  }

  /** Resolves with a place, to be disposed of. Rejects with Unavailable, or with the signal's reason. */
  async enter(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#leave();
        held = false;
      },
    };
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else next(); // the place goes from hand to hand
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const settle = (end: () => void) => () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#waiting.delete(onTurn);
        end();
      };
      const onTurn = settle(resolve);
      const onAbort = settle(() => reject(signal.reason as Error));
      const onLate = settle(() =>
        reject(new AppError("Unavailable", "too many sandboxes are being created", { retryAfterMs: 1_000 })),
      );
      const timer = setTimeout(onLate, this.#maxWaitMs);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(onTurn);
    });
  }
}
