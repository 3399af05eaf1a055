// The streams of a connection, and those that are over as far as it matters for what still comes on them (RFC 9113,
// section 5.1).
import type { StreamExchange } from "./stream-exchange.ts";

/** How many that are over are remembered: more than a client can have had open when it heard of an end. */
const KEPT = 256;

/**
 * How a stream came to its end. `ended`: by what the client said, which it knows. `reset`: by us, before the client had said
 * all; frames of it may be under way.
 */
export type Closing = "ended" | "reset";

export class Streams {
  readonly #open = new Map<number, StreamExchange>();
  /** A ring: numbers of streams, those that were reset below zero. */
  readonly #closed = new Int32Array(KEPT);
  #next = 0;
  #lastId = 0;

  /** The highest stream that the client has begun. */
  get lastId(): number {
    return this.#lastId;
  }

  get openCount(): number {
    return this.#open.size;
  }

  all(): Iterable<StreamExchange> {
    return this.#open.values();
  }

  open(streamId: number): StreamExchange | undefined {
    return this.#open.get(streamId);
  }

  /** Of a stream that is over. Undefined: it is for long, or was never begun. */
  closing(streamId: number): Closing | undefined {
    for (const one of this.#closed) {
      if (one === streamId) return "ended";
      if (one === -streamId) return "reset";
    }
    return undefined;
  }

  /** A stream that nobody has begun; those of even numbers are the server's, which begins none. */
  isIdle(streamId: number): boolean {
    return streamId > this.#lastId || streamId % 2 === 0;
  }

  begin(exchange: StreamExchange): void {
    this.#lastId = exchange.streamId;
    this.#open.set(exchange.streamId, exchange);
  }

  /** A stream that is refused at once. */
  refuse(streamId: number): void {
    this.#lastId = streamId;
    this.#remember(-streamId);
  }

  close(streamId: number, closing: Closing): void {
    this.#open.delete(streamId);
    this.#remember(closing === "ended" ? streamId : -streamId);
  }

  #remember(one: number): void {
    this.#closed[this.#next] = one;
    this.#next = (this.#next + 1) % KEPT;
  }
}
