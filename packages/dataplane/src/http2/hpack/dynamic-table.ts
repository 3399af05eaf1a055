// The dynamic table (RFC 7541, sections 2.3.2 and 4): the newest entry has the lowest index, the oldest one goes first.
import type { HeaderField } from "./field.ts";
import { fieldBytes } from "./field.ts";

const FIRST_SLOTS = 16;

export class DynamicTable {
  /** A ring: a power of two of slots. */
  #slots: (HeaderField | undefined)[] = Array.from({ length: FIRST_SLOTS });
  /** Where the next entry goes. */
  #next = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** The newest one is at 0. */
  at(index: number): HeaderField | undefined {
    if (index >= this.#count) return undefined;
    return this.#slots[(this.#next - 1 - index) & (this.#slots.length - 1)];
  }

  /** An entry that is larger than the table empties it, and is no error (section 4.4). */
  add(field: HeaderField): void {
    const bytes = fieldBytes(field);
    this.#evictDownTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    if (this.#count === this.#slots.length) this.#grow();
    this.#slots[this.#next] = field;
    this.#next = (this.#next + 1) & (this.#slots.length - 1);
    this.#count += 1;
    this.#bytes += bytes;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictDownTo(maxBytes);
  }

  #evictDownTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const oldest = (this.#next - this.#count) & (this.#slots.length - 1);
      const field = this.#slots[oldest];
      this.#slots[oldest] = undefined;
      this.#count -= 1;
      if (field !== undefined) this.#bytes -= fieldBytes(field);
    }
  }

  #grow(): void {
    const entries: (HeaderField | undefined)[] = Array.from({ length: this.#slots.length * 2 });
    for (let index = 0; index < this.#count; index += 1) entries[this.#count - 1 - index] = this.at(index);
    this.#slots = entries;
    this.#next = this.#count;
  }
}
