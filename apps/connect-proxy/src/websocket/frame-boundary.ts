// Knows where frames of a WebSocket begin (RFC 6455, section 5.2), to place one between them. Changes and judges nothing.

/** Opcode, flags, length: without the longer lengths and the mask. */
const SHORT_HEADER = 2;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;
const MASKED = 0x80;
const OPCODE = 0x0f;
const CLOSE = 0x8;

export class FrameBoundary {
  /** Bytes of a payload that are still to come. */
  #left = 0;
  #header = Buffer.alloc(SHORT_HEADER + 8 + MASK_BYTES);
  #headerBytes = 0;
  #hasClosed = false;

  /** The next byte begins a frame. */
  get isBetween(): boolean {
    return this.#left === 0 && this.#headerBytes === 0;
  }

  /** A close frame went by: no other may follow it (section 5.5.1). */
  get hasClosed(): boolean {
    return this.#hasClosed;
  }

  /** These bytes go by. */
  pass(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, bytes.length - at);
        this.#left -= taken;
        at += taken;
      } else {
        const wanted = this.#headerLength() - this.#headerBytes;
        const taken = bytes.copy(this.#header, this.#headerBytes, at, Math.min(bytes.length, at + wanted));
        this.#headerBytes += taken;
        at += taken;
        if (this.#headerBytes >= SHORT_HEADER && this.#headerBytes === this.#headerLength()) this.#takeHeader();
      }
    }
  }

  /** As far as is known by now. */
  #headerLength(): number {
    if (this.#headerBytes < SHORT_HEADER) return SHORT_HEADER;
    const second = this.#header[1] ?? 0;
    const length = second & ~MASKED;
    const mask = (second & MASKED) === 0 ? 0 : MASK_BYTES;
    return SHORT_HEADER + mask + (length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0);
  }

  #takeHeader(): void {
    const length = (this.#header[1] ?? 0) & ~MASKED;
    if (length === LENGTH_16) this.#left = this.#header.readUInt16BE(SHORT_HEADER);
    // Beyond 2^53 nobody counts, and nobody sends: never between frames again.
    else if (length === LENGTH_64) this.#left = Number(this.#header.readBigUInt64BE(SHORT_HEADER));
    else this.#left = length;
    if (((this.#header[0] ?? 0) & OPCODE) === CLOSE) this.#hasClosed = true;
    this.#headerBytes = 0;
  }
}
