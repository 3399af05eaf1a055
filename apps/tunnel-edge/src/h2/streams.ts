// The streams of a connection, as far as it matters what may still be sent on them (RFC 9113, section 5.1).
//
//   open ──(client ends)──▶ ┐
//     │ ──(sandbox ends)──▶ ┴─(both)─▶ ended
//     ├─(client resets)──▶ client-reset
//     └─(sandbox resets)─▶ sandbox-reset       refused: the sandbox never heard of it

/** How a stream came to its end. Frames of a side that did not know of it yet may be under way. */
export type Closing = "ended" | "client-reset" | "sandbox-reset" | "refused";

export interface Stream {
  clientEnded: boolean;
  sandboxEnded: boolean;
  /** Bytes of the request's body that Content-Length still promises; undefined: it promises nothing. */
  bytesLeft: number | undefined;
}

export class Streams {
  readonly #open = new Map<number, Stream>();
  /** The oldest first. */
  readonly #closed = new Map<number, Closing>();
  readonly #closedKept: number;
  #lastId = 0;
  #opened = 0;

  constructor(closedKept: number) {
    this.#closedKept = closedKept;
  }

  /** The highest stream that the client has begun. */
  get lastId(): number {
    return this.#lastId;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** All streams that the sandbox heard of. */
  get openedCount(): number {
    return this.#opened;
  }

  open(id: number): Stream | undefined {
    return this.#open.get(id);
  }

  /** Of a stream that is over, if it is remembered. */
  closing(id: number): Closing | undefined {
    return this.#closed.get(id);
  }

  /** A stream that nobody has begun; those of even numbers are the sandbox's, which may not begin any. */
  isIdle(id: number): boolean {
    return id > this.#lastId || id % 2 === 0;
  }

  begin(id: number, isWhole: boolean, bytesLeft: number | undefined): void {
    this.#lastId = id;
    this.#opened += 1;
    this.#open.set(id, { clientEnded: isWhole, sandboxEnded: false, bytesLeft });
  }

  refuse(id: number): void {
    this.#lastId = id;
    this.#remember(id, "refused");
  }

  endByClient(id: number, stream: Stream): void {
    stream.clientEnded = true;
    if (stream.sandboxEnded) this.close(id, "ended");
  }

  endBySandbox(id: number, stream: Stream): void {
    stream.sandboxEnded = true;
    if (stream.clientEnded) this.close(id, "ended");
  }

  close(id: number, closing: Closing): void {
    this.#open.delete(id);
    this.#remember(id, closing);
  }

  #remember(id: number, closing: Closing): void {
    this.#closed.set(id, closing);
    if (this.#closed.size <= this.#closedKept) return;
    for (const oldest of this.#closed.keys()) {
      this.#closed.delete(oldest);
      break;
    }
  }
}
