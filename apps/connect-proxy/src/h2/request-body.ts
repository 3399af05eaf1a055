// The content of one request on its way to the app: within its window (RFC 9113, section 6.9) and of the length that its head
// says (section 8.1.1).
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { ErrorName } from "@sallyport/dataplane/http2";
import { windowUpdateFrame } from "@sallyport/dataplane/http2";
import type { UpstreamExchange } from "../upstream/types.ts";
import type { Outflow } from "./outflow.ts";

const NO_TRAILERS: readonly RawHeader[] = [];
const NOTHING = Buffer.alloc(0);
const FIRST_HELD_BYTES = 4_096;

export class RequestBody {
  readonly #streamId: number;
  readonly #outflow: Outflow;
  readonly #windowBytes: number;
  /** Bytes that Content-Length still promises; undefined: it promises nothing. */
  #promised: number | undefined;
  /** Bytes of DATA for which the client has not got its window back, and those of them that it may have. */
  #outstanding = 0;
  #due = 0;
  /** Content that waits for the app, in one buffer: pieces of one byte each would take a hundred times as much. */
  #held = NOTHING;
  #heldBytes = 0;
  #to: UpstreamExchange | undefined;
  #isStopped = false;
  #isBlocked = false;
  #isOver = false;
  #trailers = NO_TRAILERS;
  #bytes = 0;

  /** `length`: of Content-Length. */
  constructor(streamId: number, length: number | undefined, windowBytes: number, outflow: Outflow) {
    this.#streamId = streamId;
    this.#promised = length;
    this.#windowBytes = windowBytes;
    this.#outflow = outflow;
  }

  /** The client has said all of it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The app has enough for now. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Bytes of content that came. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes DATA of so many bytes with its padding; what is wrong with it, if something is. */
  take(content: Buffer, frameBytes: number, isLast: boolean): ErrorName | undefined {
    this.#outstanding += frameBytes;
    if (this.#outstanding > this.#windowBytes) return "FLOW_CONTROL_ERROR";
    if (this.#promised !== undefined) {
      this.#promised -= content.length;
      if (this.#promised < 0 || (isLast && this.#promised > 0)) return "PROTOCOL_ERROR";
    }
    this.#isOver = isLast;
    this.#bytes += content.length;
    this.#giveBack(frameBytes - content.length);
    if (content.length > 0 && !this.#isStopped) {
      if (this.#to === undefined || this.#isBlocked) this.#hold(content);
      else this.#write(this.#to, content);
    }
    this.#endIfOver();
    return undefined;
  }

  /** Takes the trailers, which end it; what is wrong, if something is. */
  takeTrailers(trailers: readonly RawHeader[]): ErrorName | undefined {
    this.#trailers = trailers;
    return this.take(NOTHING, 0, true);
  }

  /** From now on it goes there. */
  pipeTo(upstream: UpstreamExchange): void {
    this.#to = upstream;
    this.#writeHeld(upstream);
  }

  /** The app takes more. */
  onDrain(): void {
    this.#isBlocked = false;
    if (this.#to !== undefined) this.#writeHeld(this.#to);
  }

  /** Nobody wants it any more: what comes is thrown away. */
  stop(): void {
    this.#isStopped = true;
    this.#to = undefined;
    this.#held = NOTHING;
    this.#heldBytes = 0;
  }

  #write(to: UpstreamExchange, content: Buffer): void {
    this.#isBlocked = !to.write(content);
    this.#giveBack(content.length);
  }

  #writeHeld(to: UpstreamExchange): void {
    if (this.#heldBytes > 0) {
      const held = this.#held.subarray(0, this.#heldBytes);
      this.#held = NOTHING;
      this.#heldBytes = 0;
      this.#write(to, held);
    }
    this.#endIfOver();
  }

  #endIfOver(): void {
    const to = this.#to;
    if (!this.#isOver || this.#heldBytes > 0 || to === undefined) return;
    this.#to = undefined;
    this.#isBlocked = false;
    to.end(this.#trailers);
  }

  #hold(content: Buffer): void {
    const length = this.#heldBytes + content.length;
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_HELD_BYTES, 2 * this.#held.length, length));
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(content, this.#heldBytes);
    this.#heldBytes = length;
  }

  /** Half of the window at a time: an update costs more than a frame of content. */
  #giveBack(bytes: number): void {
    this.#due += bytes;
    if (this.#due < this.#windowBytes / 2 || this.#isOver) return;
    this.#outflow.bytes(windowUpdateFrame(this.#streamId, this.#due));
    this.#outstanding -= this.#due;
    this.#due = 0;
  }
}
