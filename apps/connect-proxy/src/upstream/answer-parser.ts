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

  /** Throws `BadMessage`. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    while (this.#body === undefined) {
      const rest = this.#pushHead(bytes);
      if (rest === undefined) return;
      bytes = rest;
    }
    if (this.#head !== undefined) this.#pushBody(this.#head, this.#body, bytes);
  }

  /** The app sends no more: whether the answer is whole by that. It is ended then. */
  end(): boolean {
    if (this.#head === undefined || this.#body?.isWholeAtEnd() !== true) return false;
    this.#events.onAnswerEnd(this.#head, this.#body.trailers, false);
    return true;
  }

  /** What follows the head; undefined: the head is not complete, or nothing after it is ours to read. */
  #pushHead(chunk: Buffer): Buffer | undefined {
    const seen = this.#held?.length ?? 0;
    const bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    const end = headEnd(bytes, seen);
    if ((end === -1 ? bytes.length : end) > this.#limits.maxHeadBytes) throw badAnswer("the head is too large");
    if (end === -1) {
      if (hasBareLineFeed(bytes, seen)) throw badAnswer("a line of the head ends with a bare line feed");
      if (bytes.length > 0) this.#held = bytes;
      return undefined;
    }
    this.#held = undefined;
    const head = this.#scan(bytes.subarray(0, end));
    const rest = bytes.subarray(end);
    if (head.status === 101) {
      this.#events.onUpgrade(head, rest);
      return undefined;
    }
    if (head.status >= 200) {
      this.#head = head;
      this.#body = bodyReader(head.framing, badAnswer);
      this.#events.onHead(head);
      return rest;
    }
    this.#informational += 1;
    if (this.#informational > MAX_INFORMATIONAL_ANSWERS) throw badAnswer("too many informational answers");
    this.#events.onInformation(head);
    return rest;
  }

  #scan(bytes: Buffer): AnswerHead {
    const request = this.#request;
    const last = this.#last;
    // What a head means depends on these two alone.
    const isPlain = request.method !== "HEAD" && request.webSocketAccept === undefined;
    if (isPlain && last.head !== undefined && last.bytes?.equals(bytes) === true) return last.head;
    const head = scanAnswerHead(bytes.toString("latin1"), request, this.#limits.maxHeaders);
    const isKept = isPlain && bytes.length <= MAX_REMEMBERED_BYTES;
    last.bytes = isKept ? Buffer.from(bytes) : undefined;
    last.head = isKept ? head : undefined;
    return head;
  }

  #pushBody(head: AnswerHead, body: BodyReader, bytes: Buffer): void {
    const wasDone = body.done;
    const end = wasDone ? 0 : body.read(bytes, 0, (content) => this.#events.onContent(content));
    if (body.done) this.#events.onAnswerEnd(head, body.trailers, end < bytes.length);
  }
}
