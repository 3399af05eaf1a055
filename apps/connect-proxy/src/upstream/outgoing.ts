// One request on its way into a sandbox: over an idle connection or a new one, a second time where that is safe.
import type { Duplex } from "node:stream";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { chunkOf, lastChunk } from "../body/chunked-writer.ts";
import { endToEndTrailers } from "../body/trailers.ts";
import type { Deadlines, Timed } from "../deadlines.ts";
import type { AnsweredRequest, AnswerHead } from "../head/answer-head.ts";
import { acceptOf } from "../head/handshake.ts";
import { hasContent, writeRequestHead } from "../head/write-head.ts";
import type { ConnectionUser, UpstreamConnection } from "./connection.ts";
import type { AnswerSink, UpstreamExchange, UpstreamFailure, UpstreamRequest } from "./types.ts";

/** Whose requests they are. */
export interface OutgoingOwner {
  readonly deadlines: Deadlines;
  readonly limits: { readonly answerMs: number; readonly answerIdleMs: number; readonly stallMs: number };
  /** An idle connection for this request, if there is one that it may have. */
  takeIdle(request: UpstreamRequest, isRepeatable: boolean): UpstreamConnection | undefined;
  /** A new one, unless it is aborted before. */
  connect(request: UpstreamRequest, opening: AbortController): Promise<UpstreamConnection>;
  /** Makes a failure of what `connect` rejected with. */
  failureOf(error: unknown): UpstreamFailure;
  /** It is over, one way or another. */
  onOver(request: UpstreamRequest): void;
}

const REPEATABLE: ReadonlySet<string> = new Set(["GET", "HEAD"]);

export class Outgoing implements UpstreamExchange, ConnectionUser, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  readonly copiesContent: boolean;
  /** Only while it is opening a connection: a connection asks for the time of its request itself. */
  watchedAt: number | undefined;
  readonly #request: UpstreamRequest;
  readonly #sink: AnswerSink;
  readonly #owner: OutgoingOwner;
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
  constructor(request: UpstreamRequest, sink: AnswerSink, owner: OutgoingOwner) {
    const { framing, method, webSocketKey } = request;
    this.#request = request;
    this.#sink = sink;
    this.copiesContent = sink.onSharedContent !== undefined;
    this.#owner = owner;
    this.#head = writeRequestHead(request, framing, webSocketKey !== undefined);
    this.#answered = { method, webSocketAccept: webSocketKey === undefined ? undefined : acceptOf(webSocketKey) };
    this.#bodyDone = framing.kind === "none";
    this.#isRepeatable = REPEATABLE.has(method) && this.#bodyDone && webSocketKey === undefined;
  }

  start(): void {
    const isHandshake = this.#request.webSocketKey !== undefined;
    const idle = isHandshake ? undefined : this.#owner.takeIdle(this.#request, this.#isRepeatable);
    if (idle === undefined) this.#open();
    else this.#begin(idle);
  }

  write(content: Buffer, onWritten?: () => void): boolean {
    if (this.#isOver) return true;
    const { framing } = this.#request;
    const bytes = framing.kind === "chunked" ? chunkOf([content]) : content;
    if (this.#connection === undefined) {
      this.#queue.push(bytes);
      return false;
    }
    const hasRoom = this.#connection.write(bytes, onWritten);
    this.#await(hasRoom ? this.#answerWait() : this.#owner.limits.stallMs);
    return hasRoom;
  }

  end(trailers: readonly RawHeader[]): void {
    if (this.#isOver || this.#bodyDone) return;
    this.#bodyDone = true;
    const last = this.#request.framing.kind === "chunked" ? lastChunk(endToEndTrailers(trailers)) : undefined;
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
    this.#sink.onFailure({ code: "AnswerTimeout", problem: "the app takes or tells nothing" });
  }

  onInformation(head: AnswerHead): void {
    this.#await(this.#answerWait());
    this.#sink.onInformation(head);
  }

  onHead(head: AnswerHead): void {
    this.#headCame = true;
    this.#sink.onHead(head);
  }

  onContent(content: Buffer): void {
    this.#sink.onContent(content);
  }

  onSharedContent(bytes: Buffer, from: number, to: number): void {
    this.#sink.onSharedContent?.(bytes, from, to);
  }

  onEnd(trailers: readonly RawHeader[]): void {
    this.#leave();
    this.#sink.onEnd(endToEndTrailers(trailers));
  }

  onUpgrade(head: AnswerHead, stream: Duplex, early: Buffer): void {
    this.#leave();
    this.#sink.onUpgrade(head, stream, early);
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
    this.#sink.onFailure(failure);
  }

  onFlush(read: Buffer): boolean {
    const takesMore = this.#sink.onFlush(read);
    // A client that takes its time is not the app's fault.
    this.#await(takesMore ? this.#answerWait() : Number.POSITIVE_INFINITY);
    return takesMore;
  }

  onDrain(): void {
    this.#await(this.#answerWait());
    this.#sink.onDrain();
  }

  #open(): void {
    this.#isFresh = true;
    this.#opening = new AbortController();
    this.#owner.deadlines.watch(this);
    this.#owner.connect(this.#request, this.#opening).then(
      (connection) => {
        this.#opening = undefined;
        this.#owner.deadlines.forget(this);
        if (this.#isOver) connection.destroy();
        else this.#begin(connection);
      },
      (error: unknown) => {
        if (this.#isOver) return;
        this.#leave();
        this.#sink.onFailure(this.#owner.failureOf(error));
      },
    );
  }

  #begin(connection: UpstreamConnection): void {
    this.#connection = connection;
    connection.begin(this, this.#answered, this.#head, {
      hasBody: !this.#bodyDone || this.#queue.length > 0,
      isLast: hasContent(this.#request.framing),
    });
    let hasRoom = true;
    for (const bytes of this.#queue) hasRoom = connection.write(bytes);
    const wasWaiting = this.#queue.length > 0;
    this.#queue = [];
    if (this.#bodyDone) connection.endRequest();
    this.#await(this.#answerWait());
    if (!this.#wasOpened) this.#sink.onOpen();
    this.#wasOpened = true;
    if (wasWaiting && hasRoom) this.#sink.onDrain();
  }

  /** How long the app may be silent now: while the client still sends, as long as that takes. */
  #answerWait(): number {
    const { answerIdleMs, answerMs } = this.#owner.limits;
    if (this.#headCame) return answerIdleMs;
    return this.#bodyDone ? answerMs : Number.POSITIVE_INFINITY;
  }

  #await(ms: number): void {
    this.deadlineMs = this.#owner.deadlines.roughMs + ms;
  }

  #leave(): void {
    this.#isOver = true;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#owner.deadlines.forget(this);
    this.#owner.onOver(this.#request);
  }
}
