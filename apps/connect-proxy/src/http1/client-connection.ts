// One connection of an HTTP/1 client: its requests one after the other, and the time that it may take for each.
//
//   waiting (for a head) → exchanging → waiting …
//                        ↘ lingering (the last answer is on its way) → gone
import type { Duplex } from "node:stream";
import { BadMessage } from "../bad-message.ts";
import type { Timed } from "../deadlines.ts";
import { MAX_EARLY_BYTES } from "../limits.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { Incoming } from "./incoming.ts";
import type { Client, Http1Owner, Http1Place } from "./place.ts";

const NEVER = Number.POSITIVE_INFINITY;
/** Read after the last answer, and thrown away. */
const MAX_LINGER_BYTES = 1_048_576;

export class ClientConnection implements Http1Owner, Timed {
  readonly peerAddress: string;
  readonly servername: string;
  readonly stream: Duplex;
  readonly transport: Client["transport"];
  readonly #place: Http1Place;
  readonly #onGone: () => void;
  readonly #incoming: Incoming;
  #exchange: Http1Exchange | undefined;
  /** For the head of the next request, or the end of lingering. */
  #waitUntilMs: number;
  /** For more of the body; for the client to take more of the answer. */
  #bodyUntilMs = NEVER;
  #drainUntilMs = NEVER;
  /** For a sign of life of the answer, once the client has closed its half. */
  #goneAtMs = NEVER;
  #isInHead = true;
  #isDraining = false;
  #hasEnded = false;
  #isPumping = false;
  #isPaused = false;
  /** Bytes read since the last answer; undefined: not lingering. */
  #lingeredBytes: number | undefined;
  #isGone = false;
  watchedAt: number | undefined;

  constructor(stream: Duplex, client: Client, place: Http1Place, onGone: () => void) {
    this.stream = stream;
    this.peerAddress = client.peerAddress;
    this.servername = client.servername;
    this.transport = client.transport;
    this.#place = place;
    this.#onGone = onGone;
    this.#incoming = new Incoming(place.limits, place.fieldBlocks);
    this.#waitUntilMs = place.deadlines.roughMs + place.limits.headMs;
    stream.on("data", this.#onData);
    stream.on("end", this.#onEnd);
    stream.on("error", this.#onBroken);
    stream.on("close", this.#onBroken);
    stream.on("drain", this.#onDrain);
    place.deadlines.watch(this);
    stream.resume();
  }

  get exchange(): Http1Exchange | undefined {
    return this.#exchange;
  }

  get isLast(): boolean {
    return this.#isDraining || (this.#hasEnded && this.#incoming.length === 0);
  }

  get unreadBytes(): number {
    return this.#incoming.length;
  }

  get deadlineMs(): number {
    if (this.#exchange === undefined) return Math.min(this.#waitUntilMs, this.#drainUntilMs);
    return Math.min(this.#bodyUntilMs, this.#drainUntilMs, this.#goneAtMs, this.#exchange.untilMs);
  }

  onDeadline(): void {
    const exchange = this.#exchange;
    const { nowMs } = this.#place.deadlines;
    const isStalled = this.#drainUntilMs <= nowMs;
    if (exchange !== undefined) {
      if (isStalled) exchange.revoke("ClientStalled");
      else if (this.#goneAtMs <= nowMs) exchange.onClientGone();
      else if (exchange.untilMs <= nowMs) exchange.revoke("Expired");
      else exchange.refuse("RequestTimeout");
    } else if (isStalled || this.#lingeredBytes !== undefined) this.#destroy();
    else if (this.#incoming.length === 0) this.#linger();
    else this.#refuse("RequestTimeout");
  }

  /**
   * Takes one more request at most: what is under way is answered, and so is what is on its way just now, since a client
   * cannot know whether a request that meets a close was served (RFC 9112, section 9.5).
   */
  drain(): void {
    this.#isDraining = true;
    if (this.#exchange !== undefined || this.#incoming.length > 0) return;
    const { deadlines, limits } = this.#place;
    this.#waitUntilMs = Math.min(this.#waitUntilMs, deadlines.nowMs + limits.lingerMs);
  }

  destroy(): void {
    this.#exchange?.revoke("ShuttingDown");
    this.#destroy();
  }

  onBodyWanted(): void {
    if (this.#incoming.length > 0) this.#readBody(this.#incoming.takeAll());
    if (this.#hasEnded && this.#exchange?.wantsBody === true) this.#exchange.onClientGone();
    this.#settle();
  }

  onWritten(isFull: boolean): void {
    if (this.#hasEnded) this.#expectSigns();
    if (isFull) this.#settle();
  }

  onAnswered(keepAlive: boolean): void {
    this.#exchange = undefined;
    this.#bodyUntilMs = NEVER;
    if (!keepAlive) {
      this.#linger();
      return;
    }
    const { deadlines, limits } = this.#place;
    this.#isInHead = false;
    this.#waitUntilMs = deadlines.roughMs + limits.idleMs;
    this.#pump();
    this.#settle();
  }

  cut(): void {
    this.#exchange = undefined;
    this.transport?.resetAndDestroy();
    this.#destroy();
  }

  handOver(): Buffer {
    this.#exchange = undefined;
    this.stream.pause();
    this.#leave();
    return this.#incoming.takeAll();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#lingeredBytes !== undefined) {
      this.#lingeredBytes += chunk.length;
      if (this.#lingeredBytes > MAX_LINGER_BYTES) this.#destroy();
      return;
    }
    if (this.#exchange?.wantsBody === true) this.#readBody(chunk);
    else this.#incoming.push(chunk);
    this.#pump();
    this.#settle();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    const exchange = this.#exchange;
    if (this.#lingeredBytes !== undefined) {
      // The last answer may still be on its way to the kernel: behind it the connection ends by itself.
      if (this.stream.writableFinished) this.#destroy();
    } else if (exchange === undefined) this.#linger();
    else if (exchange.wantsBody) exchange.onClientGone();
    else this.#expectSigns();
  };

  readonly #onBroken = (): void => {
    this.#exchange?.onClientGone();
    this.#destroy();
  };

  readonly #onDrain = (): void => {
    this.#drainUntilMs = NEVER;
    this.#exchange?.onClientDrain();
    this.#pump();
    this.#settle();
  };

  /** A client that has closed its half may still wait for the answer; most are gone. */
  #expectSigns(): void {
    this.#goneAtMs = this.#place.deadlines.roughMs + this.#place.limits.halfClosedMs;
  }

  #readBody(bytes: Buffer): void {
    const end = this.#exchange?.readBody(bytes) ?? 0;
    if (end < bytes.length && !this.#isGone) this.#incoming.push(bytes.subarray(end));
  }

  /** Begins what requests are there, one at a time. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#takesRequests() && this.#incoming.length > 0) {
        this.#noteHeadBegun();
        const head = this.#incoming.takeHead();
        if (head === undefined) break;
        if (this.#hasEnded) this.#expectSigns();
        this.#exchange = new Http1Exchange(this.#place, this, head);
        this.#exchange.begin();
      }
    } catch (error) {
      this.#refuse(error instanceof BadMessage ? error.code : "InternalError");
    } finally {
      this.#isPumping = false;
    }
    // Half of a request is all that ever comes of it.
    if (this.#hasEnded && this.#takesRequests()) this.#linger();
  }

  #takesRequests(): boolean {
    if (this.#exchange !== undefined || this.#lingeredBytes !== undefined || this.#isGone) return false;
    return !this.stream.writableNeedDrain;
  }

  #noteHeadBegun(): void {
    if (this.#isInHead) return;
    this.#isInHead = true;
    this.#waitUntilMs = this.#place.deadlines.roughMs + this.#place.limits.headMs;
  }

  /** Nobody knows where a next request would begin. */
  #refuse(code: BadMessage["code"]): void {
    const exchange = new Http1Exchange(this.#place, this, undefined);
    this.#exchange = exchange;
    exchange.refuse(code);
  }

  /** Reads or rests, and sets the times, as the state by now wants it. */
  #settle(): void {
    if (this.#isGone) return;
    const { deadlines, limits } = this.#place;
    const exchange = this.#exchange;
    const readsBody = exchange?.wantsBody === true && !exchange.isBodyBlocked;
    this.#bodyUntilMs = readsBody ? deadlines.roughMs + limits.stallMs : NEVER;
    if (!this.stream.writableNeedDrain) this.#drainUntilMs = NEVER;
    else if (this.#drainUntilMs === NEVER) this.#drainUntilMs = deadlines.roughMs + limits.stallMs;
    const isRoom = exchange?.wantsBody === true ? readsBody : this.#incoming.length < MAX_EARLY_BYTES;
    if (isRoom === !this.#isPaused) return;
    this.#isPaused = !isRoom;
    if (isRoom) this.stream.resume();
    else this.stream.pause();
  }

  /** The last answer is written: what still comes is read for a while, for a reset would take that answer with it. */
  #linger(): void {
    if (this.#isGone || this.#lingeredBytes !== undefined) return;
    this.#lingeredBytes = 0;
    this.#incoming.takeAll();
    const { deadlines, limits } = this.#place;
    this.#waitUntilMs = NEVER;
    this.stream.end(() => {
      this.#waitUntilMs = deadlines.roughMs + limits.lingerMs;
      if (this.#hasEnded) this.#destroy();
    });
    this.#drainUntilMs = this.stream.writableLength > 0 ? deadlines.roughMs + limits.stallMs : NEVER;
    if (this.#isPaused) this.stream.resume();
    this.#isPaused = false;
  }

  #destroy(): void {
    if (this.#isGone) return;
    this.#leave();
    this.stream.on("error", ignoreBecauseGone);
    this.stream.uncork(); // an answer before this one is still the client's
    this.stream.destroy();
  }

  #leave(): void {
    this.#isGone = true;
    this.stream.off("data", this.#onData);
    this.stream.off("end", this.#onEnd);
    this.stream.off("error", this.#onBroken);
    this.stream.off("close", this.#onBroken);
    this.stream.off("drain", this.#onDrain);
    this.#place.deadlines.forget(this);
    this.#onGone();
  }
}

function ignoreBecauseGone(): void {
  // Nobody is left to be told.
}
