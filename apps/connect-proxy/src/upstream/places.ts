// How many of something each sandbox has at the same time.

const MIN_SWEPT = 1_024;

export class Places {
  readonly #taken = new Map<string, { count: number }>();
  readonly #maxEach: number;
  readonly #max: number;
  #count = 0;
  #sweepAt = MIN_SWEPT;

  constructor(maxEach: number, max: number = Number.POSITIVE_INFINITY) {
    this.#maxEach = maxEach;
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** False: none is left. */
  take(sandboxId: string): boolean {
    if (this.#count >= this.#max) return false;
    const taken = this.#taken.get(sandboxId);
    if (taken === undefined) this.#begin(sandboxId);
    else if (taken.count >= this.#maxEach) return false;
    else taken.count += 1;
    this.#count += 1;
    return true;
  }

  leave(sandboxId: string): void {
    const taken = this.#taken.get(sandboxId);
    if (taken === undefined || taken.count === 0) return;
    taken.count -= 1;
    this.#count -= 1;
  }

  /** Those that have none any more are let go now and then: most come again with their next request. */
  #begin(sandboxId: string): void {
    if (this.#taken.size >= this.#sweepAt) {
      for (const [id, { count }] of this.#taken) if (count === 0) this.#taken.delete(id);
      this.#sweepAt = Math.max(MIN_SWEPT, 2 * this.#taken.size);
    }
    this.#taken.set(sandboxId, { count: 1 });
  }
}
