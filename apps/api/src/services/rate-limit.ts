// So many at once, and so many each second from then on: a bucket of tokens.

export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export class RateLimit {
  readonly #rate: Rate;
  readonly #nowMs: () => number;
  #left: number;
  #atMs: number;

  /** The clock never goes back. */
  constructor(rate: Rate, nowMs: () => number) {
    this.#rate = rate;
    this.#nowMs = nowMs;
    this.#left = rate.burst;
    this.#atMs = nowMs();
  }

  /** Takes one: 0. Where there is none: how many milliseconds until there is. */
  take(): number {
    const { burst, perSecond } = this.#rate;
    const nowMs = this.#nowMs();
    this.#left = Math.min(burst, this.#left + ((nowMs - this.#atMs) / 1_000) * perSecond);
    this.#atMs = nowMs;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) / perSecond) * 1_000);
    this.#left -= 1;
    return 0;
  }
}
