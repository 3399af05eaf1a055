// One request on its way into a sandbox: over an idle connection or a new one, a second time where that is safe.
import type { Duplex } from "node:stream";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { chunkOf, lastChunk } from "../body/chunked-writer.ts";
import { endToEndTrailers } from "../body/trailers.ts";
import type { Deadlines, Timed } from "../deadlines.ts";
import type { AnsweredRequest, AnswerHead } from "../head/answer-head.ts";
import { acceptOf } from "../head/handshake.ts";
import { writeRequestHead } from "../head/write-head.ts";
import type { ConnectionUser, UpstreamConnection } from "./connection.ts";
import type { AnswerSink, UpstreamExchange, UpstreamFailure, UpstreamRequest } from "./types.ts";

export interface OutgoingOptions {
  readonly request: UpstreamRequest;
  readonly sink: AnswerSink;
  readonly deadlines: Deadlines;
  readonly limits: { readonly answerMs: number; readonly answerIdleMs: number; readonly stallMs: number };
  /** An idle connection for this request, if there is one that it may have. */
  readonly takeIdle: (isRepeatable: boolean) => UpstreamConnection | undefined;
  /** A new one. Rejects with an `OpenFailed`, or the signal's reason. */
  readonly connect: (signal: AbortSignal) => Promise<UpstreamConnection>;
  /** Makes a failure of what `connect` rejected with. */
  readonly failureOf: (error: unknown) => UpstreamFailure;
  /** It is over, one way or another. */
  readonly onOver: () => void;
}

const REPEATABLE: ReadonlySet<string> = new Set(["GET", "HEAD"]);

export class Outgoing implements UpstreamExchange, ConnectionUser, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  readonly #options: OutgoingOptions;
  readonly #head: string;
  readonly #answered: AnsweredRequest;
  readonly #isRepeatable: boolean;
  #connection: UpstreamConnection | undefined;
  #opening: AbortController | undefined;
  /** Of the body, until there is a connection. */
  #queue: Buffer[] = [];
  #bodyDone: boolean;
  #isFresh = false;
  #wasOpened = false;
  #headCame = false;
  #isOver = false;

  /** Throws `TypeError` for a head that must not be written. */
  constructor(options: OutgoingOptions) {
    const { framing, method, webSocketKey } = options.request;
    this.#options = options;
    this.#head = writeRequestHead(options.request, framing, webSocketKey !== undefined);
    this.#answered = { method, webSocketAccept: webSocketKey === undefined ? undefined : acceptOf(webSocketKey) };
    this.#bodyDone = framing.kind === "none";
    this.#isRepeatable = REPEATABLE.has(method) && this.#bodyDone && webSocketKey === undefined;
  }

  start(): void {
    this.#options.deadlines.watch(this);
    const idle = this.#options.takeIdle(this.#isRepeatable);
    if (idle === undefined) this.#open();
    else this.#begin(idle);
  }

  write(content: Buffer): boolean {
    if (this.#isOver) return true;
    const { framing } = this.#options.request;
    const bytes = framing.kind === "chunked" ? chunkOf([content]) : content;
    if (this.#connection === undefined) {
      this.#queue.push(bytes);
      return false;
    }
    const hasRoom = this.#connection.write(bytes);
    this.#await(hasRoom ? this.#answerWait() : this.#options.limits.stallMs);
    return hasRoom;
  }

  end(trailers: readonly RawHeader[]): void {
    if (this.#isOver || this.#bodyDone) return;
    this.#bodyDone = true;
    const last = this.#options.request.framing.kind === "chunked" ? lastChunk(endToEndTrailers(trailers)) : undefined;
    if (this.#connection === undefined) {
      if (last !== undefined) this.#queue.push(last);
      return;
    }
    if (last !== undefined) this.#connection.write(last);
    this.#connection.endRequest();
    this.#await(this.#answerWait());
  }

  resume(): void {
    this.#await(this.#answerWait());
    this.#connection?.resume();
  }

  abort(): void {
    if (this.#isOver) return;
    this.#leave();
    this.#opening?.abort(new Error("nobody waits for the answer any more"));
    this.#connection?.destroy();
  }

  onDeadline(): void {
    this.abort();
    this.#options.sink.onFailure({ code: "AnswerTimeout", problem: "the app takes or tells nothing" });
  }

  onInformation(head: AnswerHead): void {
    this.#await(this.#answerWait());
    this.#options.sink.onInformation(head);
  }

  onHead(head: AnswerHead): void {
    this.#headCame = true;
    this.#options.sink.onHead(head);
  }

  onContent(content: Buffer): void {
    this.#options.sink.onContent(content);
  }

  onEnd(trailers: readonly RawHeader[]): void {
    this.#leave();
    this.#options.sink.onEnd(endToEndTrailers(trailers));
  }

  onUpgrade(head: AnswerHead, stream: Duplex, early: Buffer): void {
    this.#leave();
    this.#options.sink.onUpgrade(head, stream, early);
  }

  onBroken(failure: UpstreamFailure, silent: boolean): void {
    if (this.#isOver) return;
    this.#connection = undefined;
    // The app closed an idle connection just as it was used: it has not seen the request, or may see it twice.
    if (silent && !this.#isFresh && this.#isRepeatable) {
      this.#open();
      return;
    }
    this.#leave();
    this.#options.sink.onFailure(failure);
  }

  onFlush(): boolean {
    const takesMore = this.#options.sink.onFlush();
    // A client that takes its time is not the app's fault.
    this.#await(takesMore ? this.#answerWait() : Number.POSITIVE_INFINITY);
    return takesMore;
  }

  onDrain(): void {
    this.#await(this.#answerWait());
    this.#options.sink.onDrain();
  }

  #open(): void {
    this.#isFresh = true;
    this.#opening = new AbortController();
    this.#options.connect(this.#opening.signal).then(
      (connection) => {
        this.#opening = undefined;
        if (this.#isOver) connection.destroy();
        else this.#begin(connection);
      },
      (error: unknown) => {
        if (this.#isOver) return;
        this.#leave();
        this.#options.sink.onFailure(this.#options.failureOf(error));
      },
    );
  }

  #begin(connection: UpstreamConnection): void {
    this.#connection = connection;
    connection.begin(this, this.#answered, this.#head, !this.#bodyDone || this.#queue.length > 0);
    let hasRoom = true;
    for (const bytes of this.#queue) hasRoom = connection.write(bytes);
    const wasWaiting = this.#queue.length > 0;
    this.#queue = [];
    if (this.#bodyDone) connection.endRequest();
    this.#await(this.#answerWait());
    if (!this.#wasOpened) this.#options.sink.onOpen();
    this.#wasOpened = true;
    if (wasWaiting && hasRoom) this.#options.sink.onDrain();
  }

  /** How long the app may be silent now. */
  #answerWait(): number {
    const { answerIdleMs, answerMs } = this.#options.limits;
    return this.#headCame ? answerIdleMs : answerMs;
  }

  #await(ms: number): void {
    this.deadlineMs = this.#options.deadlines.nowMs + ms;
  }

  #leave(): void {
    this.#isOver = true;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#options.deadlines.forget(this);
    this.#options.onOver();
  }
}
