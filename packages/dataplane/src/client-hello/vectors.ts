// Numbers and vectors of TLS's presentation language (RFC 8446, section 3), never read beyond their end.

/** The bytes say more than there is of them, or less. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** Reads off a message from its front. Throws `Malformed` where it says more than there is. */
export class VectorReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** An unsigned number of so many bytes. */
  number(size: 1 | 2): number {
    return this.bytes(size).readUIntBE(0, size);
  }

  /** The next bytes, not copied. */
  bytes(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Malformed("more is announced than there is");
    const piece = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return piece;
  }

  /** A vector behind its length of so many bytes, of `min` to `max` bytes. */
  vector(size: 1 | 2, min = 0, max = 65_535): Buffer {
    const length = this.number(size);
    if (length < min || length > max) throw new Malformed("a vector is shorter or longer than it may be");
    return this.bytes(length);
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.isAtEnd) throw new Malformed("more follows than is announced");
  }
}
