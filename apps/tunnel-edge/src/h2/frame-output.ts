// What goes out on one side: frames that are handed on, and frames of the relay's own between them.
import type { Duplex } from "node:stream";

export class FrameOutput {
  readonly #socket: Duplex;
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  /** Own frames that wait for the end of a header block, which nothing may come between (RFC 9113, section 4.3). */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isAmidBlock = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Bytes that wait for the peer to read, for the end of a block, or to be written. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#heldBytes + this.#pieceBytes;
  }

  get isAmidBlock(): boolean {
    return this.#isAmidBlock;
  }

  /** A frame as it came: frames that lie behind each other in memory go out as one. */
  pass(frame: Buffer): void {
    this.#pieceBytes += frame.length;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.buffer === frame.buffer && last.byteOffset + last.byteLength === frame.byteOffset) {
      this.#pieces[this.#pieces.length - 1] = Buffer.from(
        last.buffer,
        last.byteOffset,
        last.byteLength + frame.byteLength,
      );
    } else this.#pieces.push(frame);
  }

  /** A frame of our own. */
  add(frame: Buffer): void {
    if (!this.#isAmidBlock) {
      this.#pieces.push(frame);
      this.#pieceBytes += frame.length;
      return;
    }
    this.#held.push(frame);
    this.#heldBytes += frame.length;
  }

  /** Whether the block that was passed last goes on. */
  setAmidBlock(isAmidBlock: boolean): void {
    this.#isAmidBlock = isAmidBlock;
    if (isAmidBlock || this.#held.length === 0) return;
    this.#pieces.push(...this.#held);
    this.#pieceBytes += this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
  }

  /** Writes what has come together. */
  flush(): void {
    const pieces = this.#pieces;
    const [first] = pieces;
    if (first === undefined) return;
    this.#pieces = [];
    this.#pieceBytes = 0;
    if (!this.#socket.writable) return;
    if (pieces.length === 1) {
      this.#socket.write(first);
      return;
    }
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
  }
}
