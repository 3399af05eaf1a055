// The frame layer of init's protocol (apps/init/README.md): u32 payload length, u8 type, payload, big-endian. The
// reader meets hostile bytes in pieces of any size: it holds one frame at most, and refuses a length as soon as it is told.
import { InitProtocolError } from "./errors.ts";

/** The most payload of START. */
export const MAX_START_BYTES: number = 1024 * 1024;
const HEADER_BYTES = 5;

/** Frame types, gateway to init. */
export const TO_INIT = {
  hello: 0x01,
  start: 0x02,
  resume: 0x03,
  ack: 0x04,
  input: 0x05,
  inputEnd: 0x06,
  signal: 0x07,
  resize: 0x08,
  forget: 0x09,
  ping: 0x0a,
} as const;

/** Frame types, init to gateway. */
export const FROM_INIT = {
  welcome: 0x81,
  process: 0x82,
  started: 0x83,
  startFailed: 0x84,
  output: 0x85,
  outputEnd: 0x86,
  exit: 0x87,
  inputAccepted: 0x88,
  pong: 0x89,
} as const;

/** Payload lengths that a type may have. */
export type FrameSizes = ReadonlyMap<number, readonly [minBytes: number, maxBytes: number]>;

/** What init may send. */
export const SIZES_FROM_INIT: FrameSizes = new Map([
  [FROM_INIT.welcome, [9, 9]],
  [FROM_INIT.process, [4 + 1 + 1 + 1 + 40, 4 + 1 + 64 + 1 + 40]],
  [FROM_INIT.started, [1 + 1 + 8, 1 + 64 + 8]],
  [FROM_INIT.startFailed, [1 + 1 + 5, 1 + 64 + 5]],
  [FROM_INIT.output, [13 + 1, 13 + 32 * 1024]],
  [FROM_INIT.outputEnd, [13, 13]],
  [FROM_INIT.exit, [6, 6]],
  [FROM_INIT.inputAccepted, [13, 13]],
  [FROM_INIT.pong, [8, 8]],
]);

/** Cuts a byte stream into frames. */
export class FrameReader {
  readonly #sizes: FrameSizes;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #type = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;

  constructor(sizes: FrameSizes = SIZES_FROM_INIT) {
    this.#sizes = sizes;
  }

  /**
   * Takes the next bytes and calls `take` for each frame that they complete. A payload is a view of `chunk` where it
   * lies within: valid as long as nobody writes to the chunk. Throws {@link InitProtocolError}.
   */
  push(chunk: Buffer, take: (type: number, payload: Buffer) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload !== undefined) {
        at += this.#fill(this.#payload, chunk, at, take);
        continue;
      }
      const wanted = HEADER_BYTES - this.#headerBytes;
      const copied = chunk.copy(this.#header, this.#headerBytes, at, at + wanted);
      this.#headerBytes += copied;
      at += copied;
      if (this.#headerBytes < HEADER_BYTES) return;
      this.#headerBytes = 0;
      const length = this.#readHeader();
      if (length <= chunk.length - at) {
        take(this.#type, chunk.subarray(at, at + length));
        at += length;
      } else {
        this.#payload = Buffer.allocUnsafe(length);
        this.#payloadBytes = 0;
      }
    }
  }

  #readHeader(): number {
    const length = this.#header.readUInt32BE(0);
    this.#type = this.#header.readUInt8(4);
    const sizes = this.#sizes.get(this.#type);
    if (sizes === undefined) throw new InitProtocolError(`unknown frame type ${this.#type}`);
    const [min, max] = sizes;
    if (length < min || length > max) {
      throw new InitProtocolError(`a frame of type ${this.#type} with ${length} bytes (${min} to ${max} are allowed)`);
    }
    return length;
  }

  #fill(payload: Buffer, chunk: Buffer, at: number, take: (type: number, payload: Buffer) => void): number {
    const copied = chunk.copy(payload, this.#payloadBytes, at);
    this.#payloadBytes += copied;
    if (this.#payloadBytes === payload.length) {
      this.#payload = undefined;
      take(this.#type, payload);
    }
    return copied;
  }
}

/** One frame, from the pieces of its payload. */
export function encodeFrame(type: number, pieces: readonly Uint8Array[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32BE(length, 0);
  frame.writeUInt8(type, 4);
  let at = HEADER_BYTES;
  for (const piece of pieces) {
    frame.set(piece, at);
    at += piece.length;
  }
  return frame;
}
