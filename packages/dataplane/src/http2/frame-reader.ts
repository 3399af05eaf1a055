// Cuts a connection's bytes into frames, however the bytes come in.
import { checkFrameHead } from "./frame-rules.ts";
import { FRAME_HEAD_BYTES, MAX_31_BITS } from "./wire.ts";

/**
 * Takes frames. `frame` is the whole frame with its head: a view of the piece that it came in where it lay in one, so it
 * may be kept or written as it is as long as nobody writes over the pieces.
 */
export interface FrameSink {
  onFrame(type: number, flags: number, streamId: number, frame: Buffer): void;
  /** Whether it can take no more frames for now; it always can when unset. */
  readonly isFull?: boolean;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Reads the frames of one direction. A frame that two pieces share is the only thing that it copies, or keeps. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  /** Of a frame that is not whole: its head, then all of it as soon as its length is known. */
  #open: Buffer = NO_BYTES;
  #have = 0;

  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes of the frame that is not whole. */
  get openBytes(): number {
    return this.#have;
  }

  /**
   * Hands on all frames that are whole with this piece, or as many as the sink takes: the rest of the piece is answered, and
   * to be pushed again when the sink takes frames again. Throws `Http2Error` for a frame that cannot be, as soon as its head is
   * there, and whatever the sink throws; nothing more is to be read then.
   */
  push(piece: Buffer): Buffer {
    let at = this.#have === 0 ? 0 : this.#fill(piece);
    while (piece.length - at >= FRAME_HEAD_BYTES) {
      if (this.#sink.isFull === true) return piece.subarray(at);
      const end = at + this.#frameBytes(piece, at);
      if (end > piece.length) break;
      this.#deliver(at === 0 && end === piece.length ? piece : piece.subarray(at, end));
      at = end;
    }
    if (at < piece.length) this.#keep(piece, at);
    return NO_BYTES;
  }

  /** Puts what the piece holds of the open frame to it; where the next frame begins. */
  #fill(piece: Buffer): number {
    let at = 0;
    if (this.#have < FRAME_HEAD_BYTES) {
      at = this.#copy(piece, 0, FRAME_HEAD_BYTES);
      if (this.#have < FRAME_HEAD_BYTES) return at;
      this.#makeRoom(this.#open, 0);
    }
    at += this.#copy(piece, at, this.#open.length);
    if (this.#have < this.#open.length) return at;
    const frame = this.#open;
    this.#open = NO_BYTES;
    this.#have = 0;
    this.#deliver(frame);
    return at;
  }

  #copy(piece: Buffer, from: number, upTo: number): number {
    const copied = piece.copy(this.#open, this.#have, from, from + upTo - this.#have);
    this.#have += copied;
    return copied;
  }

  #keep(piece: Buffer, from: number): void {
    if (piece.length - from >= FRAME_HEAD_BYTES) this.#makeRoom(piece, from);
    else this.#open = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
    this.#have = 0;
    this.#copy(piece, from, this.#open.length);
  }

  /** A room for the frame whose head is there, with the head in it if it was in the old one. */
  #makeRoom(bytes: Buffer, headAt: number): void {
    const room = Buffer.allocUnsafe(this.#frameBytes(bytes, headAt));
    bytes.copy(room, 0, headAt, headAt + FRAME_HEAD_BYTES);
    this.#open = room;
  }

  /** Length of a frame with its head. */
  #frameBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUIntBE(at, 3);
    checkFrameHead(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, streamOf(bytes, at), length, this.#maxFrameBytes);
    return FRAME_HEAD_BYTES + length;
  }

  #deliver(frame: Buffer): void {
    this.#sink.onFrame(frame[3] ?? 0, frame[4] ?? 0, streamOf(frame, 0), frame);
  }
}

/** The reserved bit is to be ignored (RFC 9113, section 4.1). */
function streamOf(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + 5) & MAX_31_BITS;
}
