// How many of something each sandbox has at the same time.

export class Places {
  readonly #taken = new Map<string, number>();
  readonly #maxEach: number;
  readonly #max: number;
  #count = 0;

  constructor(maxEach: number, max: number = Number.POSITIVE_INFINITY) {
    this.#maxEach = maxEach;
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** False: none is left. */
  take(sandboxId: string): boolean {
    const taken = this.#taken.get(sandboxId) ?? 0;
    if (taken >= this.#maxEach || this.#count >= this.#max) return false;
    this.#taken.set(sandboxId, taken + 1);
    this.#count += 1;
    return true;
  }

  leave(sandboxId: string): void {
    const taken = this.#taken.get(sandboxId) ?? 0;
    if (taken === 0) return;
    if (taken === 1) this.#taken.delete(sandboxId);
    else this.#taken.set(sandboxId, taken - 1);
    this.#count -= 1;
  }
}
