// The content of one answer on its way to the client: as much of it as its windows take (RFC 9113, section 6.9), the end with
// the last of it.
import { isFreeable } from "@sallyport/dataplane";
import { DEFAULT_MAX_FRAME_BYTES, MAX_31_BITS } from "@sallyport/dataplane/http2";
import type { Outflow, WaitingSender } from "./outflow.ts";

export class AnswerBody implements WaitingSender {
  readonly #streamId: number;
  readonly #outflow: Outflow;
  readonly #onProgress: () => void;
  /** Bytes that the client takes on this stream; may be below zero (section 6.9.2). */
  #window: number;
  #pieces: Buffer[] = [];
  /** Of the first piece. */
  #sentOfFirst = 0;
  #bytes = 0;
  #sent = 0;
  /** Nothing but the trailers, a header block as text, follows. */
  #isComplete = false;
  #trailers = "";
  #isOver = false;

  /** `onProgress` is called when some of what had to wait has gone. */
  constructor(streamId: number, window: number, outflow: Outflow, onProgress: () => void) {
    this.#streamId = streamId;
    this.#window = window;
    this.#outflow = outflow;
    this.#onProgress = onProgress;
  }

  /** Bytes that wait. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Bytes that have gone. */
  get sentBytes(): number {
    return this.#sent;
  }

  /** The stream's end has gone. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The answer ended with its head. */
  endedWithHead(): void {
    this.#isOver = true;
  }

  /** Takes content, which goes with the next {@link send} and is nobody else's from now on. */
  add(content: Buffer): void {
    if (content.length === 0) return;
    this.#pieces.push(content);
    this.#bytes += content.length;
  }

  /** No more content follows. `trailers`: a header block as text; empty: none. */
  complete(trailers: string): void {
    this.#isComplete = true;
    this.#trailers = trailers;
  }

  /** Sends what may go now. */
  send(): void {
    const outflow = this.#outflow;
    while (this.#bytes > 0) {
      if (this.#window <= 0) return;
      if (outflow.window <= 0 || !outflow.hasRoom) {
        outflow.wait(this);
        return;
      }
      const length = Math.min(this.#bytes, this.#window, outflow.window, DEFAULT_MAX_FRAME_BYTES);
      this.#isOver = length === this.#bytes && this.#isComplete && this.#trailers === "";
      outflow.dataHead(this.#streamId, length, this.#isOver);
      this.#window -= length;
      this.#sent += length;
      this.#take(length);
    }
    if (!this.#isComplete || this.#isOver) return;
    this.#isOver = true;
    if (this.#trailers === "") outflow.dataHead(this.#streamId, 0, true);
    else outflow.headers(this.#streamId, this.#trailers, true);
  }

  proceed(): void {
    const before = this.#bytes;
    this.send();
    if (this.#bytes < before) this.#onProgress();
  }

  /** Changes the window by so many bytes. False: it is too large. */
  addWindow(increment: number): boolean {
    this.#window += increment;
    return this.#window <= MAX_31_BITS;
  }

  /** Nothing goes any more. */
  drop(): void {
    this.#outflow.forget(this);
    this.#pieces = [];
    this.#bytes = 0;
  }

  #take(length: number): void {
    this.#bytes -= length;
    let left = length;
    let index = 0;
    while (left > 0) {
      const piece = this.#pieces[index];
      if (piece === undefined) break;
      const from = this.#sentOfFirst;
      const count = Math.min(left, piece.length - from);
      const isDone = from + count === piece.length;
      const part = count === piece.length ? piece : piece.subarray(from, from + count);
      // All of its memory: a read that nobody else has a part of.
      this.#outflow.bytes(part, isDone && isFreeable(piece) ? piece : undefined);
      left -= count;
      if (isDone) {
        index += 1;
        this.#sentOfFirst = 0;
      } else this.#sentOfFirst = from + count;
    }
    if (index === this.#pieces.length) this.#pieces = [];
    else if (index > 0) this.#pieces.splice(0, index);
  }
}
