// Standard input on its way to init: by offset, one write at a time, no more in flight than init's buffer holds.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { InitConnection } from "./init/connection.ts";
import { InitProtocolError } from "./init/errors.ts";
import { encodeInput, encodeInputEnd } from "./init/messages.ts";
import { MAX_WAITING_WRITES } from "./limits.ts";
import { Change, withSignal } from "./wait.ts";

export interface InputWrite {
  readonly offset: number;
  readonly data: Buffer;
  /** Whether standard input ends with these bytes. */
  readonly end: boolean;
}

export interface InputState {
  /** Everything below is accepted. */
  readonly acceptedOffset: number;
  /** The process no longer reads. */
  readonly closed: boolean;
}

/** Where the end of an input is remembered: it must reach init even when the gateway dies on the way. */
export interface InputEnd {
  read(): number | null;
  write(offset: number): void;
}

/** What init holds beyond what the process has taken. Accepted is what was taken; the rest is repeated after a break. */
const INIT_BUFFER_BYTES = 64 * 1024;
/** One frame in flight. */
const FRAME_BYTES = 32 * 1024;

export class InputFlow {
  readonly #endRecord: InputEnd;
  readonly #change = new Change();
  #port: { readonly connection: InitConnection; readonly handle: number } | undefined;
  #accepted = 0;
  #sent = 0;
  /** The most that may ever have been sent, by an earlier gateway too. */
  #highest = 0;
  #closed = false;
  #gone: AppError | undefined;
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(endRecord: InputEnd) {
    this.#endRecord = endRecord;
  }

  /** Goes on where init says that it is. */
  connect(connection: InitConnection, handle: number, accepted: number, open: boolean): void {
    if (accepted < this.#accepted) throw new InitProtocolError("input that init forgot");
    this.#port = { connection, handle };
    this.#accepted = accepted;
    this.#sent = accepted;
    this.#highest = Math.max(this.#highest, accepted + INIT_BUFFER_BYTES);
    const end = this.#endRecord.read();
    if (!open && end === null) this.#closed = true;
    if (open && end === accepted) connection.send(encodeInputEnd(handle, end));
    this.#change.announce();
  }

  disconnect(): void {
    this.#port = undefined;
    this.#change.announce();
  }

  /** Init took input, or says that nobody reads it any more. */
  accepted(offset: number, closed: boolean): void {
    if (offset < this.#accepted || offset > this.#highest) {
      throw new InitProtocolError(`input accepted up to ${offset}, after ${this.#accepted}, at most ${this.#highest}`);
    }
    if (offset === this.#accepted && closed === this.#closed) this.#port?.connection.countIdleFrame();
    this.#accepted = offset;
    this.#closed ||= closed;
    this.#change.announce();
  }

  /** The process ended: writers are told that nobody reads, or why they cannot know. */
  close(reason?: AppError): void {
    this.#closed = true;
    this.#gone ??= reason;
    this.#change.announce();
  }

  /**
   * Resolves when all is accepted or nobody reads. Rejects with InvalidArgument (`offset`) beyond what was accepted, or
   * beyond the end given before; ResourceExhausted when too many writes wait.
   */
  async write(write: InputWrite, signal: AbortSignal): Promise<InputState> {
    if (this.#waiting >= MAX_WAITING_WRITES) throw new AppError("ResourceExhausted", "too many writes wait");
    this.#waiting += 1;
    const before = this.#turn;
    const mine = Promise.withResolvers<void>();
    this.#turn = before.then(() => mine.promise);
    try {
      await withSignal(before, signal);
      return await this.#writeNow(write, signal);
    } finally {
      this.#waiting -= 1;
      mine.resolve();
    }
  }

  async #writeNow({ offset, data, end }: InputWrite, signal: AbortSignal): Promise<InputState> {
    while (this.#port === undefined && !this.#closed) await this.#change.next(signal);
    const target = offset + data.length;
    const known = this.#endRecord.read();
    if (!this.#closed && offset > this.#accepted) {
      throw invalidArgument("offset", `${offset} is beyond what was accepted, ${this.#accepted}`);
    }
    if (known !== null && (target > known || (end && target !== known))) {
      throw invalidArgument("offset", `standard input ended at ${known}`);
    }
    while (this.#accepted < target && !this.#closed) {
      if (this.#sent <= this.#accepted) this.#send(offset, data);
      await this.#change.next(signal);
    }
    if (this.#gone !== undefined) throw this.#gone;
    if (end && target < this.#sent) throw invalidArgument("offset", "bytes beyond this end were sent before");
    if (end && !this.#closed && known === null) {
      this.#endRecord.write(target);
      this.#port?.connection.send(encodeInputEnd(this.#port.handle, target));
    }
    return { acceptedOffset: this.#accepted, closed: this.#closed };
  }

  #send(offset: number, data: Buffer): void {
    if (this.#port === undefined) return;
    const from = this.#accepted - offset;
    const piece = data.subarray(from, from + FRAME_BYTES);
    this.#sent = this.#accepted + piece.length;
    this.#highest = Math.max(this.#highest, this.#sent);
    this.#port.connection.send(encodeInput(this.#port.handle, this.#accepted, piece));
  }
}
