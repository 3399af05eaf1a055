// Ends a connection in good order (RFC 9113, section 6.8): the client is told to begin no more streams, and once it is sure to
// have heard that, which one is the last.
//
//   serving ──(start: GOAWAY of the highest stream, PING)──▶ told ──(its PING is answered: GOAWAY of the last stream)──▶ last
import { randomBytes } from "node:crypto";
import { FRAME_HEAD_BYTES, goawayFrame, MAX_31_BITS, pingFrame } from "@sallyport/dataplane/http2";
import type { FrameOutput } from "./frame-output.ts";
import type { Drain } from "./shared.ts";
import type { Streams } from "./streams.ts";

export class GracefulEnd implements Drain {
  readonly #streams: Streams;
  readonly #toClient: FrameOutput;
  /** Nobody else's PING looks like it. */
  readonly #ping = randomBytes(8);
  #state: "serving" | "told" | "last" = "serving";
  /** A GOAWAY never names a later stream than one before it. */
  #lastStreamId = MAX_31_BITS;

  constructor(streams: Streams, toClient: FrameOutput) {
    this.#streams = streams;
    this.#toClient = toClient;
  }

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
    this.#toClient.add(goawayFrame(this.#lastStreamId, "NO_ERROR"));
    this.#toClient.add(pingFrame(this.#ping));
  }

  takePong(frame: Buffer): boolean {
    if (this.#state !== "told" || !frame.subarray(FRAME_HEAD_BYTES).equals(this.#ping)) return false;
    this.#state = "last";
    this.#lastStreamId = Math.min(this.#lastStreamId, this.#streams.lastId);
    this.#toClient.add(goawayFrame(this.#lastStreamId, "NO_ERROR"));
    return true;
  }

  onSandboxGoaway(lastStreamId: number): void {
    this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId);
  }
}
