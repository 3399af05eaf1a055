// Pumps bytes between two streams until both directions end: with back-pressure, half-close, an idle limit and counts.
import type { Duplex } from "node:stream";
import { freeRead, isFreeable } from "./free-read.ts";
import { holdWrites } from "./hold-writes.ts";

/** Why a relay ended. */
export type RelayEnd =
  /** Both sides ended their halves. */
  | "ended"
  /** One side broke; the other was cut. */
  | "broken"
  /** No byte went either way for the idle limit. */
  | "idle"
  /** The signal was aborted. */
  | "aborted";

export interface RelayResult {
  readonly end: RelayEnd;
  /** Bytes from the first stream to the second. */
  readonly forwardBytes: number;
  readonly backwardBytes: number;
}

export interface RelayOptions {
  readonly signal?: AbortSignal | undefined;
  /** No limit when unset. It is kept to a quarter: the relay ends after this long at the earliest. */
  readonly idleMs?: number | undefined;
}

const IDLE_TICKS = 4;
const MIN_TICK_MS = 10;
/**
 * The most of content that a record has (RFC 8446, section 5.1). TLS gives each as a read of its own, though one read of its
 * connection brings several: they go on in one write.
 */
const TLS_RECORD_BYTES = 16_384;

/**
 * Resolves when nothing more will flow; both streams are destroyed then. Never rejects. The streams are this function's
 * alone from now on: the memory of large reads is given back once they are written, so nobody else may keep a chunk.
 */
export function relay(left: Duplex, right: Duplex, options: RelayOptions = {}): Promise<RelayResult> {
  return new Promise((resolve) => new Relay(left, right, options, resolve));
}

/** One that goes on. Its callbacks are all that is kept for an idle connection, beside the streams. */
class Relay {
  readonly #forward: Pump;
  readonly #backward: Pump;
  readonly #signal: AbortSignal | undefined;
  readonly #idleTimer: NodeJS.Timeout | undefined;
  readonly #resolve: (result: RelayResult) => void;
  #openHalves = 2;
  #isOver = false;
  #seenBytes = 0;
  #quietTicks = 0;

  constructor(left: Duplex, right: Duplex, options: RelayOptions, resolve: (result: RelayResult) => void) {
    const { idleMs, signal } = options;
    this.#resolve = resolve;
    this.#forward = new Pump(left, right, this);
    this.#backward = new Pump(right, left, this);
    this.#signal = signal;
    if (idleMs !== undefined) this.#idleTimer = setInterval(this.#tick, Math.max(MIN_TICK_MS, idleMs / IDLE_TICKS));
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
    else if (left.destroyed || right.destroyed) this.settle("broken");
  }

  /** A half was ended, with everything in it. */
  onHalfEnded(): void {
    this.#openHalves -= 1;
    if (this.#openHalves === 0) this.settle("ended");
  }

  /** The first reason counts. */
  settle(end: RelayEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#idleTimer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#forward.from.destroy();
    this.#backward.from.destroy();
    this.#resolve({ end, forwardBytes: this.#forward.bytes, backwardBytes: this.#backward.bytes });
  }

  readonly #onAbort = (): void => this.settle("aborted");

  /** Counts the quarters of the limit in which nothing went: cheaper than a look at the clock for each read. */
  readonly #tick = (): void => {
    const bytes = this.#forward.bytes + this.#backward.bytes;
    this.#quietTicks = bytes === this.#seenBytes ? this.#quietTicks + 1 : 0;
    this.#seenBytes = bytes;
    if (this.#quietTicks >= IDLE_TICKS) this.settle("idle");
  };
}

/** One direction. */
class Pump {
  readonly from: Duplex;
  /** That were read. */
  bytes = 0;
  readonly #to: Duplex;

  constructor(from: Duplex, to: Duplex, relaying: Relay) {
    this.from = from;
    this.#to = to;
    from.on("data", this.#onData);
    from.once("end", () => to.end());
    from.once("error", () => relaying.settle("broken"));
    from.once("close", () => {
      if (!from.readableEnded || !from.writableFinished) relaying.settle("broken");
    });
    to.on("drain", () => from.resume());
    to.once("finish", () => relaying.onHalfEnded());
    from.resume(); // whoever gave it may have paused it
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    if (chunk.length === TLS_RECORD_BYTES) holdWrites(this.#to);
    const isBelow = isFreeable(chunk) ? this.#to.write(chunk, () => freeRead(chunk)) : this.#to.write(chunk);
    if (!isBelow) this.from.pause();
  };
}
