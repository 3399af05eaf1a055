// Whether kills for want of memory are recent. The kernel only counts them; a count is taken every few seconds.

export class OomSamples {
  #older = 0;
  #newer = 0;

  /** A count that was read now. */
  add(count: number): void {
    this.#older = this.#newer;
    this.#newer = count;
  }

  /** How many of the present count came after the last sample but one. */
  recent(count: number): number {
    return Math.max(0, count - this.#older);
  }
}
