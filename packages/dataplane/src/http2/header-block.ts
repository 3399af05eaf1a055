// Joins a header block from HEADERS and CONTINUATION, without padding and priority (RFC 9113, sections 4.3, 6.2, 6.10).
import { Http2Error } from "./errors.ts";
import { paddingBytes } from "./payload.ts";
import { FLAG, FRAME_HEAD_BYTES, MAX_31_BITS } from "./wire.ts";

export interface HeaderBlockLimits {
  /** Compressed bytes of one block. */
  readonly maxBlockBytes: number;
  /** CONTINUATION frames of one block, empty ones too (CVE-2024-27316). */
  readonly maxContinuations: number;
}

/** A whole block; `bytes` is not kept by anybody else, unless it is a view of the one frame that it came in. */
export interface HeaderBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly bytes: Buffer;
}

export class HeaderBlockReader {
  readonly #limits: HeaderBlockLimits;
  /** 0: none is open. */
  #streamId = 0;
  #endStream = false;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(limits: HeaderBlockLimits) {
    this.#limits = limits;
  }

  /** Whether a block is open: nothing but CONTINUATION of its stream may come. */
  get isOpen(): boolean {
    return this.#streamId !== 0;
  }

  /** Takes HEADERS; the block, if it is whole. */
  headers(flags: number, streamId: number, frame: Buffer): HeaderBlock | undefined {
    if (this.isOpen) throw interrupted();
    let from = FRAME_HEAD_BYTES + ((flags & FLAG.padded) === 0 ? 0 : 1);
    const end = frame.length - Math.max(0, paddingBytes(flags, frame) - 1);
    if ((flags & FLAG.priority) !== 0) {
      if (end - from < 5) throw new Http2Error("FRAME_SIZE_ERROR", "HEADERS has no room for its priority");
      checkDependency(frame.readUInt32BE(from), streamId);
      from += 5;
    }
    this.#streamId = streamId;
    this.#endStream = (flags & FLAG.endStream) !== 0;
    return this.#take(flags, frame.subarray(from, end));
  }

  /** Takes CONTINUATION; the block, if it is whole. */
  continuation(flags: number, streamId: number, frame: Buffer): HeaderBlock | undefined {
    if (!this.isOpen || streamId !== this.#streamId) {
      throw new Http2Error("PROTOCOL_ERROR", "CONTINUATION continues no header block");
    }
    if (this.#pieces.length > this.#limits.maxContinuations) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a header block has too many frames");
    }
    return this.#take(flags, frame.subarray(FRAME_HEAD_BYTES));
  }

  /** To be called for every other frame. */
  checkClosed(): void {
    if (this.isOpen) throw interrupted();
  }

  #take(flags: number, piece: Buffer): HeaderBlock | undefined {
    this.#bytes += piece.length;
    if (this.#bytes > this.#limits.maxBlockBytes) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a header block is too long");
    }
    this.#pieces.push(piece);
    if ((flags & FLAG.endHeaders) === 0) return undefined;
    const bytes = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces, this.#bytes);
    const block: HeaderBlock = { streamId: this.#streamId, endStream: this.#endStream, bytes };
    this.#streamId = 0;
    this.#pieces = [];
    this.#bytes = 0;
    return block;
  }
}

/** A stream cannot depend on itself (RFC 7540, section 5.3.1). `word`: the exclusive bit and the stream that is depended on. */
export function checkDependency(word: number, streamId: number): void {
  if ((word & MAX_31_BITS) === streamId) throw new Http2Error("PROTOCOL_ERROR", "a stream depends on itself");
}

function interrupted(): Http2Error {
  return new Http2Error("PROTOCOL_ERROR", "another frame comes amid a header block");
}
