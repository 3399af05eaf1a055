// One connection into a sandbox: one exchange at a time, and between them nothing at all.
//
//   idle → busy (a request is written, its answer read) → idle …
//   any  → gone (closed, or handed over as a WebSocket)
import type { Duplex } from "node:stream";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { BadMessage } from "../bad-message.ts";
import type { Deadlines, Timed } from "../deadlines.ts";
import type { AnsweredRequest, AnswerHead } from "../head/answer-head.ts";
import { writeSoon } from "../write-soon.ts";
import type { AnswerEvents, AnswerLimits, LastAnswer } from "./answer-parser.ts";
import { AnswerParser } from "./answer-parser.ts";
import type { OpenedPort } from "./open-route.ts";
import type { Poolable } from "./pool.ts";
import type { UpstreamFailure } from "./types.ts";

/** Whose request is under way. */
export interface ConnectionUser {
  onInformation(head: AnswerHead): void;
  onHead(head: AnswerHead): void;
  onContent(content: Buffer): void;
  /** Whether it may be told of content in shared memory, as an `AnswerSink` is. */
  readonly copiesContent: boolean;
  onSharedContent(bytes: Buffer, from: number, to: number): void;
  /** The answer is whole. The connection is its own again, or gone. */
  onEnd(trailers: readonly RawHeader[]): void;
  onUpgrade(head: AnswerHead, stream: Duplex, early: Buffer): void;
  /** It has until then; past it, {@link onDeadline} is called. */
  readonly deadlineMs: number;
  onDeadline(): void;
  /** It is gone. `silent`: without a byte of the answer. */
  onBroken(failure: UpstreamFailure, silent: boolean): void;
  /** As an `AnswerSink` is asked. */
  onFlush(read: Buffer): boolean;
  onDrain(): void;
}

export interface BeginOptions {
  /** More of the request follows. */
  readonly hasBody: boolean;
  /** The app was told to close after it. */
  readonly isLast: boolean;
}

/** Whose connections they are. */
export interface ConnectionOwner {
  readonly limits: AnswerLimits & { readonly poolIdleMs: number };
  readonly deadlines: Deadlines;
  /** It is idle and sound. False: there is no room for it. */
  release(connection: UpstreamConnection): boolean;
  /** It is closed, or handed over. */
  onGone(connection: UpstreamConnection): void;
}

/** An app that says how long it keeps idle connections is believed, less this. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
const NO_TRAILERS: readonly RawHeader[] = [];
/** Of a whole answer: a longer one is handed on as it is. */
const MAX_COPIED_BYTES = 16_384;

export class UpstreamConnection implements Poolable, Timed, AnswerEvents {
  readonly key: string;
  idleSinceMs = 0;
  watchedAt: number | undefined;
  readonly #stream: Duplex;
  readonly #read: OpenedPort["read"];
  readonly #owner: ConnectionOwner;
  #idleUntilMs = Number.POSITIVE_INFINITY;
  #user: ConnectionUser | undefined;
  #parser: AnswerParser | undefined;
  #requestDone = false;
  #isLast = false;
  #isGone = false;
  readonly #last: LastAnswer = { bytes: undefined, head: undefined };

  constructor({ read, stream }: OpenedPort, key: string, owner: ConnectionOwner) {
    this.key = key;
    this.#stream = stream;
    this.#owner = owner;
    stream.on("end", this.#onEnd);
    stream.on("error", this.#onError);
    stream.on("close", this.#onClose);
    stream.on("drain", this.#onDrain);
    this.#read = read;
  }

  /** Reads from now on. An app that has spoken already has lost its connection by the end of this call. */
  start(): void {
    this.#owner.deadlines.watch(this);
    if (this.#read === undefined) this.#stream.on("data", this.#onData);
    else this.#read(this.#onData, this.#onShared);
    if (!this.#isGone) this.#stream.resume();
  }

  /** Begins an exchange on an idle connection. `head` is written at once. */
  begin(user: ConnectionUser, request: AnsweredRequest, head: string, { hasBody, isLast }: BeginOptions): void {
    this.#user = user;
    if (this.#isGone) {
      setImmediate(() => this.#break({ code: "BadAnswer", problem: "the app spoke first" }, false));
      return;
    }
    this.#requestDone = !hasBody;
    this.#isLast = isLast;
    this.#parser = new AnswerParser(request, this.#owner.limits, this, this.#last);
    writeSoon(this.#stream, head, "latin1");
  }

  /** Of the body. False: wait for `onDrain`. */
  write(bytes: Buffer, onWritten?: () => void): boolean {
    return this.#stream.write(bytes, onWritten);
  }

  /** The request is written to its end. */
  endRequest(): void {
    this.#requestDone = true;
  }

  resume(): void {
    if (!this.#isGone) this.#stream.resume();
  }

  /** Gives up the exchange, or an idle connection: nobody is told. */
  destroy(): void {
    this.#user = undefined;
    this.#leave();
    this.#stream.destroy();
  }

  get deadlineMs(): number {
    return this.#user?.deadlineMs ?? this.#idleUntilMs;
  }

  onDeadline(): void {
    if (this.#user === undefined) this.destroy();
    else this.#user.onDeadline();
  }

  readonly #onData = (chunk: Buffer): void => {
    const user = this.#user;
    const parser = this.#parser;
    // Bytes that answer nothing would answer whoever comes next.
    if (user === undefined || parser === undefined) {
      this.destroy();
      return;
    }
    try {
      parser.push(chunk);
      if (this.#user === user && !user.onFlush(chunk)) this.#stream.pause();
    } catch (error) {
      this.#fail(error);
    }
  };

  /** An answer of one read whose head is known costs no copy and no state. */
  readonly #onShared = (bytes: Buffer, count: number): boolean => {
    const user = this.#user;
    if (user?.copiesContent !== true || count > MAX_COPIED_BYTES) return false;
    const head = this.#parser?.wholeAnswer(bytes, count);
    if (head?.framing.kind !== "length") return false;
    try {
      user.onHead(head);
      if (this.#user !== user) return true;
      user.onSharedContent(bytes, count - head.framing.length, count);
      this.onAnswerEnd(head, NO_TRAILERS, false);
    } catch (error) {
      this.#fail(error);
    }
    return true;
  };

  readonly #onEnd = (): void => {
    if (this.#user === undefined) this.destroy();
    else if (this.#parser?.end() !== true) this.#breakOff();
  };

  readonly #onError = (): void => this.#breakOff();
  readonly #onClose = (): void => this.#breakOff();
  readonly #onDrain = (): void => this.#user?.onDrain();

  onInformation(head: AnswerHead): void {
    this.#user?.onInformation(head);
  }

  onHead(head: AnswerHead): void {
    this.#user?.onHead(head);
  }

  onContent(content: Buffer): void {
    this.#user?.onContent(content);
  }

  onAnswerEnd(head: AnswerHead, trailers: readonly RawHeader[], surplus: boolean): void {
    const user = this.#user;
    if (user === undefined) return;
    this.#user = undefined;
    this.#parser = undefined;
    const { deadlines, limits } = this.#owner;
    const toldMs = (head.keepAliveSeconds ?? Number.POSITIVE_INFINITY) * 1_000 - KEEP_ALIVE_MARGIN_MS;
    const idleMs = Math.min(limits.poolIdleMs, toldMs);
    const isSound =
      head.keepAlive && head.framing.kind !== "close" && this.#requestDone && !this.#isLast && !surplus && idleMs > 0;
    this.idleSinceMs = deadlines.roughMs;
    this.#idleUntilMs = this.idleSinceMs + idleMs;
    if (isSound && this.#owner.release(this)) this.#stream.resume();
    else this.destroy();
    user.onEnd(trailers);
  }

  onUpgrade(head: AnswerHead, early: Buffer): void {
    const user = this.#user;
    if (user === undefined) return;
    this.#user = undefined;
    this.#leave();
    const stream = this.#stream;
    stream.pause();
    stream.off("data", this.#onData);
    stream.off("end", this.#onEnd);
    stream.off("drain", this.#onDrain);
    user.onUpgrade(head, stream, early);
  }

  #breakOff(): void {
    if (this.#isGone) return;
    if (this.#user === undefined) this.destroy();
    else this.#break({ code: "NoAnswer", problem: "the app closed the connection" }, this.#parser?.began !== true);
  }

  /** A fault of ours ends this exchange as well, and no other: the log tells it by its code. */
  #fail(error: unknown): void {
    const code = error instanceof BadMessage ? error.code : "InternalError";
    this.#break({ code, problem: error instanceof Error ? error.message : "a fault of the proxy" }, false);
  }

  #break(failure: UpstreamFailure, silent: boolean): void {
    const user = this.#user;
    this.destroy();
    user?.onBroken(failure, silent);
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#owner.deadlines.forget(this);
    this.#owner.onGone(this);
  }
}
