// A rate: so many at once, then so many each second.

export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  #left: number;
  #filledAtMs: number;

  /** `now`: milliseconds; a clock that goes back gives nothing. */
  constructor(burst: number, perSecond: number, now: () => number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#now = now;
    this.#left = burst;
    this.#filledAtMs = now();
  }

  /** Whether there is one; it is gone then. */
  take(): boolean {
    const now = this.#now();
    const gained = (Math.max(0, now - this.#filledAtMs) / 1_000) * this.#perSecond;
    this.#left = Math.min(this.#burst, this.#left + gained);
    this.#filledAtMs = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
