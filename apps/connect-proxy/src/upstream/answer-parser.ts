// The bytes of an app as answers: heads, contents, ends. Knows nothing of sockets.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { badAnswer } from "../bad-message.ts";
import type { BodyReader } from "../body/body-reader.ts";
import { bodyReader } from "../body/body-reader.ts";
import type { AnsweredRequest, AnswerHead } from "../head/answer-head.ts";
import { scanAnswerHead } from "../head/answer-head.ts";
import { hasBareLineFeed, headEnd } from "../head/head-end.ts";
import { MAX_INFORMATIONAL_ANSWERS } from "../limits.ts";

export interface AnswerEvents {
  onInformation(head: AnswerHead): void;
  onHead(head: AnswerHead): void;
  onContent(content: Buffer): void;
  /** `surplus`: bytes follow that belong to no answer. */
  onAnswerEnd(head: AnswerHead, trailers: readonly RawHeader[], surplus: boolean): void;
  /** A 101 that answers the handshake; what follows is no HTTP. */
  onUpgrade(head: AnswerHead, early: Buffer): void;
}

export interface AnswerLimits {
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
}

/** The last head that an app sent over a connection, and its bytes: most say the same again and again. */
export interface LastAnswer {
  bytes: Buffer | undefined;
  head: AnswerHead | undefined;
}

/** Of a head that is remembered for the next one. */
const MAX_REMEMBERED_BYTES = 4_096;

/** For one request. After the end of its answer it takes no more bytes. */
export class AnswerParser {
  readonly #request: AnsweredRequest;
  readonly #limits: AnswerLimits;
  readonly #events: AnswerEvents;
  readonly #last: LastAnswer;
  #held: Buffer | undefined;
  #head: AnswerHead | undefined;
  #body: BodyReader | undefined;
  #informational = 0;

  constructor(request: AnsweredRequest, limits: AnswerLimits, events: AnswerEvents, last: LastAnswer) {
    this.#request = request;
    this.#last = last;
    this.#limits = limits;
    this.#events = events;
  }

  /** A byte of an answer came, also of an incomplete head or a 1xx. */
  get began(): boolean {
    return this.#held !== undefined || this.#head !== undefined || this.#informational > 0;
  }

  /**
   * The head of an answer that these bytes are from beginning to end, if it is the last one again, byte for byte. Its
   * content begins after so many bytes as the last one had. Nothing is remembered of them: to `push` they are still new.
   */
  wholeAnswer(bytes: Buffer, count: number): AnswerHead | undefined {
    const { bytes: before, head } = this.#last;
    if (before === undefined || head?.framing.kind !== "length" || this.began || !this.#isPlain) return undefined;
    const end = before.length;
    const isWhole = end + head.framing.length === count && before.compare(bytes, 0, end) === 0;
    return isWhole ? head : undefined;
  }

  /** Throws `BadMessage`. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    let from = 0;
    while (this.#body === undefined) {
      if (this.#held !== undefined || from > 0) {
        bytes = this.#held === undefined ? bytes.subarray(from) : Buffer.concat([this.#held, bytes]);
      }
      from = this.#pushHead(bytes);
      if (from === -1) return;
    }
    if (this.#head !== undefined) this.#pushBody(this.#head, this.#body, bytes, from);
  }

  /** The app sends no more: whether the answer is whole by that. It is ended then. */
  end(): boolean {
    if (this.#head === undefined || this.#body?.isWholeAtEnd() !== true) return false;
    this.#events.onAnswerEnd(this.#head, this.#body.trailers, false);
    return true;
  }

  /** Where what follows the head begins; -1: the head is not complete, or nothing after it is ours to read. */
  #pushHead(bytes: Buffer): number {
    const seen = this.#held?.length ?? 0;
    const end = headEnd(bytes, seen);
    if ((end === -1 ? bytes.length : end) > this.#limits.maxHeadBytes) throw badAnswer("the head is too large");
    if (end === -1) {
      if (hasBareLineFeed(bytes, seen)) throw badAnswer("a line of the head ends with a bare line feed");
      if (bytes.length > 0) this.#held = bytes;
      return -1;
    }
    this.#held = undefined;
    const head = this.#scan(bytes, end);
    if (head.status === 101) {
      this.#events.onUpgrade(head, bytes.subarray(end));
      return -1;
    }
    if (head.status >= 200) {
      this.#head = head;
      this.#body = bodyReader(head.framing, badAnswer);
      this.#events.onHead(head);
      return end;
    }
    this.#informational += 1;
    if (this.#informational > MAX_INFORMATIONAL_ANSWERS) throw badAnswer("too many informational answers");
    this.#events.onInformation(head);
    return end;
  }

  /** The head that ends there. */
  #scan(bytes: Buffer, end: number): AnswerHead {
    const request = this.#request;
    const last = this.#last;
    const isPlain = this.#isPlain;
    const isSame = isPlain && last.bytes?.length === end && last.bytes.compare(bytes, 0, end) === 0;
    if (isSame && last.head !== undefined) return last.head;
    const head = scanAnswerHead(bytes.toString("latin1", 0, end), request, this.#limits.maxHeaders);
    const isKept = isPlain && end <= MAX_REMEMBERED_BYTES;
    last.bytes = isKept ? Buffer.from(bytes.subarray(0, end)) : undefined;
    last.head = isKept ? head : undefined;
    return head;
  }

  /** What a head means depends on these two alone. */
  get #isPlain(): boolean {
    const { method, webSocketAccept } = this.#request;
    return method !== "HEAD" && webSocketAccept === undefined;
  }

  #pushBody(head: AnswerHead, body: BodyReader, bytes: Buffer, from: number): void {
    const wasDone = body.done;
    const end = wasDone ? from : body.read(bytes, from, (content) => this.#events.onContent(content));
    if (body.done) this.#events.onAnswerEnd(head, body.trailers, end < bytes.length);
  }
}
