// Ends a server's connection in good order (RFC 9113, section 6.8): the client is told to begin no more streams, and once it is
// sure to have heard that, which one is the last.
//
//   serving ──(start: GOAWAY of the highest stream, PING)──▶ told ──(its PING is answered: GOAWAY of the last stream)──▶ last
import { randomBytes } from "node:crypto";
import { goawayFrame, pingFrame } from "./frame-writer.ts";
import { FRAME_HEAD_BYTES, MAX_31_BITS } from "./wire.ts";

/** The streams of the connection. */
export interface EndingStreams {
  /** The highest stream that the client has begun. */
  readonly lastId: number;
  readonly openCount: number;
}

export class GracefulEnd {
  readonly #streams: EndingStreams;
  readonly #send: (frame: Buffer) => void;
  /** Nobody else's PING looks like it. */
  readonly #ping = randomBytes(8);
  #state: "serving" | "told" | "last" = "serving";
  /** A GOAWAY never names a later stream than one before it. */
  #lastStreamId = MAX_31_BITS;

  constructor(streams: EndingStreams, send: (frame: Buffer) => void) {
    this.#streams = streams;
    this.#send = send;
  }

  /** Whether the client is told that streams it begins now come to nothing. */
  get refusesStreams(): boolean {
    return this.#state === "last";
  }

  /** Whether nothing is left to wait for. */
  get isOver(): boolean {
    return this.#state === "last" && this.#streams.openCount === 0;
  }

  start(): void {
    if (this.#state !== "serving") return;
    this.#state = "told";
    this.#send(goawayFrame(this.#lastStreamId, "NO_ERROR"));
    this.#send(pingFrame(this.#ping));
  }

  /** The client answers a PING; whether it was this one. */
  takePong(frame: Buffer): boolean {
    if (this.#state !== "told" || !frame.subarray(FRAME_HEAD_BYTES).equals(this.#ping)) return false;
    this.sayLast();
    return true;
  }

  /** Says which stream is the last, without waiting for anything. */
  sayLast(): void {
    if (this.#state === "last") return;
    this.#state = "last";
    this.#lastStreamId = Math.min(this.#lastStreamId, this.#streams.lastId);
    this.#send(goawayFrame(this.#lastStreamId, "NO_ERROR"));
  }

  /** Somebody else has told the client which stream is the last. */
  onOtherGoaway(lastStreamId: number): void {
    this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId);
  }
}
