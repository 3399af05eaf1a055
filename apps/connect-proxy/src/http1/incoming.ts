// Bytes of a client that nobody has read yet, and the request heads among them.
import { BadMessage, malformed } from "../bad-message.ts";
import type { FieldBlocks } from "../head/field-block.ts";
import { hasBareLineFeed, headEnd } from "../head/head-end.ts";
import type { HeadLimits, RequestHead } from "../head/request-head.ts";
import { scanRequestHead } from "../head/request-head.ts";

const NOTHING = Buffer.alloc(0);
const CR = 0x0d;
const LF = 0x0a;
/** Longer than any method and version with their blanks. */
const REQUEST_LINE_MARGIN = 64;

export class Incoming {
  readonly #limits: HeadLimits;
  readonly #fieldBlocks: FieldBlocks;
  #bytes: Buffer = NOTHING;
  /** Bytes in which no head ends. */
  #seen = 0;

  constructor(limits: HeadLimits, fieldBlocks: FieldBlocks) {
    this.#limits = limits;
    this.#fieldBlocks = fieldBlocks;
  }

  get length(): number {
    return this.#bytes.length;
  }

  push(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  /** All of them. */
  takeAll(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = NOTHING;
    this.#seen = 0;
    return bytes;
  }

  /** The next head, if it is complete. Throws `BadMessage`. */
  takeHead(): RequestHead | undefined {
    if (this.#seen === 0) this.#skipEmptyLine();
    const bytes = this.#bytes;
    const end = headEnd(bytes, this.#seen);
    if ((end === -1 ? bytes.length : end) > this.#limits.maxHeadBytes) throw this.#tooLarge();
    if (end === -1) {
      if (hasBareLineFeed(bytes, this.#seen)) throw malformed("a line of the head ends with a bare line feed");
      this.#seen = bytes.length;
      return undefined;
    }
    this.#bytes = end === bytes.length ? NOTHING : bytes.subarray(end);
    this.#seen = 0;
    return scanRequestHead(bytes.toString("latin1", 0, end), this.#limits, this.#fieldBlocks);
  }

  /** RFC 9112, section 2.2: some clients send one after a body. One, not more. */
  #skipEmptyLine(): void {
    if (this.#bytes[0] === CR && this.#bytes[1] === LF) this.#bytes = this.#bytes.subarray(2);
  }

  #tooLarge(): BadMessage {
    const { maxHeadBytes, maxUrlBytes } = this.#limits;
    const lineEnd = this.#bytes.indexOf(LF);
    if (lineEnd === -1 || lineEnd > maxUrlBytes + REQUEST_LINE_MARGIN) {
      return new BadMessage("UrlTooLong", `the request line has over ${maxUrlBytes} bytes`);
    }
    return new BadMessage("HeadTooLarge", `the head has over ${maxHeadBytes} bytes`);
  }
}
