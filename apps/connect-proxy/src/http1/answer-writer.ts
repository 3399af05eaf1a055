// Writes one answer to a client: what came at once goes out at once, in one write where it is small.
import type { Writable } from "node:stream";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { chunkOf, lastChunk } from "../body/chunked-writer.ts";
import type { WrittenAnswer } from "../head/write-head.ts";
import { writeAnswerHead } from "../head/write-head.ts";

/** Up to here, copying is cheaper than another write. */
const COPIED_BYTES = 16_384;

export class AnswerWriter {
  readonly #to: Writable;
  #head = "";
  #pieces: Buffer[] = [];
  #isChunked = false;
  /** Bytes of content. */
  #sent = 0;

  constructor(to: Writable) {
    this.#to = to;
  }

  get contentBytes(): number {
    return this.#sent;
  }

  /** Throws `TypeError` for headers that must not be written; nothing is written then. */
  head(answer: WrittenAnswer): void {
    this.#head += writeAnswerHead(answer);
    this.#isChunked = answer.framing.kind === "chunked";
  }

  content(piece: Buffer): void {
    this.#sent += piece.length;
    this.#pieces.push(piece);
  }

  /** Writes what is gathered. False: the client has enough for now. */
  flush(): boolean {
    return this.#write(undefined);
  }

  /** Writes what is gathered and the end. */
  end(trailers: readonly RawHeader[]): void {
    this.#write(this.#isChunked ? lastChunk(trailers) : undefined);
  }

  #write(last: Buffer | undefined): boolean {
    const parts = this.#parts();
    if (last !== undefined) parts.push(last);
    const [only] = parts;
    if (only === undefined) return !this.#to.writableNeedDrain;
    if (parts.length === 1) return this.#to.write(only);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length <= COPIED_BYTES) return this.#to.write(Buffer.concat(parts, length));
    this.#to.cork();
    let hasRoom = true;
    for (const part of parts) hasRoom = this.#to.write(part);
    this.#to.uncork();
    return hasRoom;
  }

  #parts(): Buffer[] {
    const head = this.#head;
    const pieces = this.#pieces;
    this.#head = "";
    this.#pieces = [];
    if (this.#isChunked && pieces.length > 0) return [chunkOf(pieces, head)];
    return head === "" ? pieces : [Buffer.from(head, "latin1"), ...pieces];
  }
}
