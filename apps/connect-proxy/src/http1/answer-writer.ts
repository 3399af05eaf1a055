// Writes one answer to a client: what came at once goes out at once, in one write where it is small.
import { STATUS_CODES } from "node:http";
import type { Writable } from "node:stream";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { freeRead, isFreeable } from "@sallyport/dataplane";
import { chunkOf, lastChunk } from "../body/chunked-writer.ts";
import type { LocalAnswer } from "../exchange.ts";
import { NO_BODY } from "../head/framing.ts";
import type { WrittenAnswer } from "../head/write-head.ts";
import { answerLinesOf, writeAnswerHead } from "../head/write-head.ts";
import { writeSoon } from "../write-soon.ts";

const NO_TRAILERS: readonly RawHeader[] = [];
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

  /** A whole answer of the proxy's own. Throws as {@link head} does. */
  local(answer: LocalAnswer, isHead: boolean, connection: WrittenAnswer["connection"], date: string): void {
    const { body, headers, status } = answer;
    const isBodyless = status === 204 || status === 304;
    this.head({
      status,
      reason: STATUS_CODES[status] ?? "",
      lines: answerLinesOf(headers),
      framing: isBodyless || isHead ? NO_BODY : { kind: "length", length: body.length },
      absentLength: isHead && !isBodyless ? body.length : undefined,
      connection,
      date,
    });
    if (!isBodyless && !isHead) this.content(body);
    this.end(NO_TRAILERS);
  }

  content(piece: Buffer): void {
    this.#sent += piece.length;
    this.#pieces.push(piece);
  }

  /** All content of an answer that is not chunked, in one piece with the head from now on: the memory is somebody else's. */
  copy(bytes: Buffer, from: number, to: number): void {
    const head = this.#head;
    const piece = Buffer.allocUnsafe(head.length + to - from);
    bytes.copy(piece, piece.write(head, 0, "latin1"), from, to);
    this.#head = "";
    this.#pieces.push(piece);
    this.#sent += to - from;
  }

  /** Writes what is gathered, and gives back what it all came in. False: the client has enough for now. */
  flush(read?: Buffer): boolean {
    // One piece is written as it is: with its read whole nothing else is in there.
    if (read === undefined || this.#isChunked || this.#head !== "" || !isFreeable(read)) return this.#write(undefined);
    const [piece] = this.#pieces;
    if (this.#pieces.length !== 1 || piece?.length !== read.length) return this.#write(undefined);
    this.#pieces = [];
    return this.#to.write(piece, () => freeRead(read));
  }

  /** Writes what is gathered and the end. */
  end(trailers: readonly RawHeader[]): void {
    this.#write(this.#isChunked ? lastChunk(trailers) : undefined);
  }

  #write(last: Buffer | undefined): boolean {
    const head = this.#head;
    const pieces = this.#pieces;
    this.#head = "";
    this.#pieces = [];
    if (this.#isChunked && pieces.length > 0) {
      const chunk = chunkOf(pieces, head);
      return this.#writeParts("", last === undefined ? [chunk] : [chunk, last]);
    }
    if (last !== undefined) pieces.push(last);
    return this.#writeParts(head, pieces);
  }

  #writeParts(head: string, parts: readonly Buffer[]): boolean {
    const to = this.#to;
    const [only] = parts;
    if (only === undefined) return head === "" ? !to.writableNeedDrain : writeSoon(to, head, "latin1");
    if (head === "" && parts.length === 1) return only.length > COPIED_BYTES ? to.write(only) : writeSoon(to, only);
    let { length } = head;
    for (const part of parts) length += part.length;
    if (length <= COPIED_BYTES) return writeSoon(to, joined(head, parts, length));
    to.cork();
    if (head !== "") to.write(head, "latin1");
    let hasRoom = true;
    for (const part of parts) hasRoom = to.write(part);
    to.uncork();
    return hasRoom;
  }
}

function joined(head: string, parts: readonly Buffer[], length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let at = bytes.write(head, 0, "latin1");
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
