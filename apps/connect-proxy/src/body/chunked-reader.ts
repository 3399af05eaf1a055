// The chunked coding (RFC 9112, section 7.1), read strictly. Extensions mean nothing to the next hop and end here.
//
//   size line  → content (size bytes) → its CRLF → size line
//   size line of 0 → trailers, up to an empty line → done
import type { RawHeader } from "@sallyport/connect-token/verify";
import { FIELD_VALUE, HEX, skip } from "../head/characters.ts";
import { scanFields } from "../head/fields.ts";
import type { BodyReader, Complain } from "./body-reader.ts";

/** Of a size line with its extensions, and of all of a body's together: they are work that carries nothing. */
const MAX_SIZE_LINE_BYTES = 256;
const MAX_EXTENSION_BYTES = 16_384;
const MAX_TRAILER_BYTES = 8_192;
const MAX_TRAILERS = 32;
/** Twelve digits stay below 2^53. */
const MAX_SIZE_DIGITS = 12;

const LF = 0x0a;
const SEMICOLON = 0x3b;

type State = "size" | "content" | "content-end" | "trailers" | "done";

export class ChunkedReader implements BodyReader {
  readonly #complain: Complain;
  #state: State = "size";
  #trailers: readonly RawHeader[] = [];
  /** Content bytes of the chunk that are still to come. */
  #left = 0;
  #extensionBytes = 0;
  /** What came of a line, or of the trailers, and ends in bytes that are not there yet. */
  #held = "";

  constructor(complain: Complain) {
    this.#complain = complain;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  get trailers(): readonly RawHeader[] {
    return this.#trailers;
  }

  isWholeAtEnd(): boolean {
    return this.done;
  }

  read(bytes: Buffer, from: number, emit: (content: Buffer) => void): number {
    let at = from;
    while (at < bytes.length && this.#state !== "done") {
      at = this.#state === "content" ? this.#readContent(bytes, at, emit) : this.#readLine(bytes, at);
    }
    return at;
  }

  #readContent(bytes: Buffer, from: number, emit: (content: Buffer) => void): number {
    const end = from + Math.min(this.#left, bytes.length - from);
    this.#left -= end - from;
    if (this.#left === 0) this.#state = "content-end";
    emit(bytes.subarray(from, end));
    return end;
  }

  /** Takes one line, or what there is of it. */
  #readLine(bytes: Buffer, from: number): number {
    const lineFeed = bytes.indexOf(LF, from);
    const end = lineFeed === -1 ? bytes.length : lineFeed + 1;
    const max = this.#state === "trailers" ? MAX_TRAILER_BYTES : MAX_SIZE_LINE_BYTES;
    if (this.#held.length + end - from > max)
      throw this.#complain("a chunk's size line, or the trailers, are too long");
    const text = this.#held + bytes.toString("latin1", from, end);
    if (lineFeed === -1) this.#hold(text);
    else this.#takeLine(text);
    return end;
  }

  /** What can never become sound is refused before its line feed comes. */
  #hold(text: string): void {
    if (this.#state === "content-end" && text !== "\r") throw this.#complain("a chunk is longer than its size");
    if (this.#state === "size" && skip(text, 0, HEX) === 0 && text !== "") {
      throw this.#complain("a chunk's size is no hexadecimal number");
    }
    this.#held = text;
  }

  #takeLine(text: string): void {
    this.#held = "";
    if (!text.endsWith("\r\n")) throw this.#complain("a line of a chunked body does not end with CRLF");
    if (this.#state === "content-end") {
      if (text !== "\r\n") throw this.#complain("a chunk is longer than its size");
      this.#state = "size";
    } else if (this.#state === "size") this.#takeSize(text);
    else this.#takeTrailerLine(text);
  }

  #takeSize(text: string): void {
    const digits = skip(text, 0, HEX);
    if (digits === 0 || digits > MAX_SIZE_DIGITS) throw this.#complain("a chunk's size is no hexadecimal number");
    if (digits !== text.length - 2) this.#takeExtension(text, digits);
    this.#left = Number.parseInt(text.slice(0, digits), 16);
    this.#state = this.#left === 0 ? "trailers" : "content";
  }

  #takeExtension(text: string, from: number): void {
    this.#extensionBytes += text.length - 2 - from;
    if (this.#extensionBytes > MAX_EXTENSION_BYTES) throw this.#complain("the chunk extensions are too long");
    if (text.charCodeAt(from) !== SEMICOLON || skip(text, from, FIELD_VALUE) !== text.length - 2) {
      throw this.#complain("a chunk's size line is malformed");
    }
  }

  #takeTrailerLine(text: string): void {
    const isLast = text === "\r\n" || text.endsWith("\r\n\r\n");
    if (!isLast) {
      this.#held = text;
      return;
    }
    const fields = scanFields(text, 0, text.length - 2, MAX_TRAILERS);
    if (typeof fields === "string") throw this.#complain("the trailers are malformed");
    this.#trailers = fields;
    this.#state = "done";
  }
}
