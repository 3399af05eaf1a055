// What a front and the way into the sandbox tell each other: a request in, an answer piece by piece out.

import type { Duplex } from "node:stream";
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { RefusalCode, Route } from "../exchange.ts";
import type { AnswerHead } from "../head/answer-head.ts";
import type { Framing } from "../head/framing.ts";

/** A request as it goes to the app. */
export interface UpstreamRequest {
  readonly route: Route;
  readonly port: number;
  readonly method: string;
  readonly target: string;
  /** End-to-end, `Host` among them. Not looked at where `lines` are given. */
  readonly headers: readonly RawHeader[];
  /** The same as lines, checked, where they are at hand. */
  readonly lines?: string | undefined;
  /** None, so many bytes, or chunks; never until the connection closes. */
  readonly framing: Framing;
  /** Of a WebSocket handshake: the key that the client sent. */
  readonly webSocketKey: string | undefined;
}

/** Why there is no answer, or no whole one. */
export interface UpstreamFailure {
  readonly code: RefusalCode;
  /** For the log: what is wrong with what the app sent. */
  readonly problem: string;
}

/**
 * Who gets the answer. One call of `onHead` at most, then contents, then `onEnd`; or `onUpgrade` in place of these; or
 * `onFailure` at any time, and nothing after it. Nothing comes after `abort` either.
 */
export interface AnswerSink {
  /** The app is connected: a client that waits for 100 (Continue) may be told. Once, and before anything else. */
  onOpen(): void;
  /** 100 and 102 to 199. */
  onInformation(head: AnswerHead): void;
  onHead(head: AnswerHead): void;
  /** Bytes that nobody else will write to. */
  onContent(content: Buffer): void;
  /**
   * All of the content at once, between `from` and `to`, in memory that is somebody else's again when this returns. For who
   * copies it anyway: a sink without this gets `onContent`.
   */
  onSharedContent?(bytes: Buffer, from: number, to: number): void;
  /** Trailers that may go on. */
  onEnd(trailers: readonly RawHeader[]): void;
  /** The handshake is answered rightly: from now on the stream is the front's. `early` came behind the head. */
  onUpgrade(head: AnswerHead, stream: Duplex, early: Buffer): void;
  onFailure(failure: UpstreamFailure): void;
  /**
   * What came at once is told; now is the time to write it. False: no more until `resume`. Not called after the last. `read`
   * is what it all came in: once it is written, `freeRead` may have it.
   */
  onFlush(read: Buffer): boolean;
  /** After `write` returned false: there is room again. */
  onDrain(): void;
}

/** A request on its way. */
export interface UpstreamExchange {
  /**
   * Content of the body, whose bytes nobody changes any more. False: wait for `onDrain`. `onWritten` is called once nobody
   * reads them any more; perhaps never where the exchange breaks off.
   */
  write(content: Buffer, onWritten?: () => void): boolean;
  /** The body is complete. Not called for a request without one. */
  end(trailers: readonly RawHeader[]): void;
  /** More of the answer may come. */
  resume(): void;
  /** Nobody wants the answer any more. */
  abort(): void;
}
