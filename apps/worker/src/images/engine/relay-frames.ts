// Datagrams over a pipe: u16 length of what follows, u32 number of the question, the datagram.

const HEAD = 6;

export function frame(id: number, datagram: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt16BE(datagram.length + 4, 0);
  head.writeUInt32BE(id, 2);
  return Buffer.concat([head, datagram]);
}

/** The most bytes of a datagram that fits into a frame. */
export const MAX_DATAGRAM_BYTES = 65_531;

export class FrameReader {
  readonly #onFrame: (id: number, datagram: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onFrame: (id: number, datagram: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** False once what comes is no frame. */
  push(chunk: Buffer): boolean {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEAD) {
      const length = this.#rest.readUInt16BE(0);
      if (length < 4) return false;
      if (this.#rest.length < 2 + length) return true;
      this.#onFrame(this.#rest.readUInt32BE(2), Buffer.from(this.#rest.subarray(HEAD, 2 + length)));
      this.#rest = this.#rest.subarray(2 + length);
    }
    return true;
  }
}
