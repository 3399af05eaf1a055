// The bound over all outputs of one instance: when they keep too much together, the oldest bytes of those go that
// nobody reads, ended ones first.
import type { StreamSpool } from "./stream.ts";

export class SpoolBudget {
  readonly #maxBytes: number;
  readonly #streams = new Set<StreamSpool>();
  #keptBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Notes that so many bytes more are kept, or fewer. */
  count(deltaBytes: number): void {
    this.#keptBytes += deltaBytes;
  }

  /** Makes an output one of those that may lose bytes. Its bytes are counted by itself. */
  add(stream: StreamSpool): void {
    this.#streams.add(stream);
  }

  /** Forgets an output whose files are gone. */
  remove(stream: StreamSpool): void {
    if (this.#streams.delete(stream)) this.#keptBytes -= stream.kept;
  }

  /** Whether more bytes may come, after dropping what can go. */
  makeRoom(): boolean {
    while (this.#keptBytes > this.#maxBytes) {
      const victim = this.#victim();
      if (victim === undefined) return false;
      victim.dropOldest();
    }
    return true;
  }

  /** The oldest ended output, else the largest live one, among those whose oldest bytes nobody needs. */
  #victim(): StreamSpool | undefined {
    let largest: StreamSpool | undefined;
    for (const stream of this.#streams) {
      if (!stream.droppable) continue;
      if (stream.ended) return stream;
      if (largest === undefined || stream.kept > largest.kept) largest = stream;
    }
    return largest;
  }
}
