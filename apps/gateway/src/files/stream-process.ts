// A process of the platform's own within a sandbox whose output never touches the spool: it goes straight to whoever
// asked for it, and init is told to go on once it was taken. It ends with its caller and with the link to init.
import type { AppError } from "@sallyport/appkit/errors";
import type { InitConnection } from "../init/connection.ts";
import { InitProtocolError } from "../init/errors.ts";
import type { ExitStatus } from "../init/messages.ts";
import { encodeAck, encodeInput, encodeResume } from "../init/messages.ts";
import { Change } from "../wait.ts";

const STDOUT = 1;
/** What init holds beyond what the process has taken. */
const INPUT_WINDOW_BYTES = 64 * 1024;
/** Two of them fill the window. */
const INPUT_FRAME_BYTES = 32 * 1024;
/** Smaller pieces of output are gathered in blocks: each alone would keep the chunk that it came in. */
const SMALL_BYTES = 4_096;
const BLOCK_BYTES = 16 * 1024;

interface Session {
  readonly connection: InitConnection;
  readonly handle: number;
}

export class StreamProcess {
  readonly #change = new Change();
  #session: Session | undefined;
  #queue: Buffer[] = [];
  /** The block that the end of the queue is a part of, and how much of it. */
  #block: { readonly bytes: Buffer; used: number } | undefined;
  #received = 0;
  #acked = 0;
  #ended = false;
  #exit: ExitStatus | undefined;
  #failure: AppError | undefined;
  #inputAccepted = 0;
  #inputSent = 0;
  #inputClosed = false;

  /** Init has started it: its output may come. */
  connect(connection: InitConnection, handle: number): void {
    this.#session = { connection, handle };
    connection.send(encodeResume(handle, STDOUT, 0));
  }

  get handle(): number | undefined {
    return this.#session?.handle;
  }

  /** Whether it has ended and all of its output was heard. */
  get complete(): boolean {
    return this.#ended && this.#exit !== undefined;
  }

  /** How it ended. */
  get exit(): ExitStatus | undefined {
    return this.#exit;
  }

  /** Takes bytes from init. */
  output(offset: number, data: Buffer): void {
    const { connection } = this.#mustRun();
    if (this.#ended || offset !== this.#received) {
      throw new InitProtocolError(`output at ${offset}, where ${this.#received} comes next`);
    }
    const end = offset + data.length;
    if (end > this.#acked + connection.welcome.ringBytes) {
      throw new InitProtocolError(`output up to ${end}, where ${this.#acked} bytes are acknowledged`);
    }
    this.#received = end;
    if (data.length < SMALL_BYTES) this.#gather(data);
    else {
      this.#block = undefined;
      this.#queue.push(data);
    }
    this.#change.announce();
  }

  outputEnd(offset: number): void {
    if (this.#ended || offset !== this.#received) {
      throw new InitProtocolError(`an output ends at ${offset}, where ${this.#received} bytes have come`);
    }
    this.#ended = true;
    this.#change.announce();
  }

  exited(status: ExitStatus): void {
    if (this.#exit !== undefined) throw new InitProtocolError("a second exit");
    this.#exit = status;
    this.#inputClosed = true;
    this.#change.announce();
  }

  inputAccepted(offset: number, closed: boolean): void {
    if (offset < this.#inputAccepted || offset > this.#inputSent) {
      throw new InitProtocolError(`input accepted up to ${offset} of ${this.#inputSent}`);
    }
    if (offset === this.#inputAccepted && closed === this.#inputClosed) this.#session?.connection.countIdleFrame();
    this.#inputAccepted = offset;
    this.#inputClosed ||= closed;
    this.#change.announce();
  }

  /** Nothing will come any more, for this reason. */
  fail(error: AppError): void {
    this.#failure ??= error;
    this.#session = undefined;
    this.#change.announce();
  }

  /** What has come since the last call, as soon as there is something; undefined at the end of the output. */
  async take(signal: AbortSignal): Promise<readonly Buffer[] | undefined> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#queue.length > 0) return this.#takeQueue();
      if (this.#ended) return undefined;
      if (this.#failure !== undefined) throw this.#failure;
      await this.#change.next(signal);
    }
  }

  /** Feeds standard input, one call at a time. Resolves once all is taken, or with false when nobody reads it. */
  async feed(data: Buffer, signal: AbortSignal): Promise<boolean> {
    const start = this.#inputSent;
    const end = start + data.length;
    while (this.#inputAccepted < end) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#inputClosed) return false;
      this.#sendInput(data, start, end);
      await this.#change.next(signal);
    }
    return true;
  }

  /** Resolves when it has exited and its output has ended. */
  async completed(signal: AbortSignal): Promise<ExitStatus> {
    while (!this.complete || this.#exit === undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      await this.#change.next(signal);
    }
    return this.#exit;
  }

  #sendInput(data: Buffer, start: number, end: number): void {
    const { connection, handle } = this.#mustRun();
    while (this.#inputSent < end) {
      const length = Math.min(INPUT_FRAME_BYTES, end - this.#inputSent);
      if (this.#inputSent + length > this.#inputAccepted + INPUT_WINDOW_BYTES) return;
      const from = this.#inputSent - start;
      connection.send(encodeInput(handle, this.#inputSent, data.subarray(from, from + length)));
      this.#inputSent += length;
    }
  }

  #takeQueue(): readonly Buffer[] {
    const taken = this.#queue;
    this.#queue = [];
    this.#block = undefined;
    this.#acked = this.#received;
    if (!this.#ended) this.#session?.connection.send(encodeAck(this.#session.handle, STDOUT, this.#acked));
    return taken;
  }

  #gather(data: Buffer): void {
    const block = this.#block;
    if (block !== undefined && block.used + data.length <= BLOCK_BYTES) {
      data.copy(block.bytes, block.used);
      block.used += data.length;
      this.#queue[this.#queue.length - 1] = block.bytes.subarray(0, block.used);
      return;
    }
    const bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    data.copy(bytes);
    this.#block = { bytes, used: data.length };
    this.#queue.push(bytes.subarray(0, data.length));
  }

  #mustRun(): Session {
    if (this.#session === undefined) throw new InitProtocolError("a word about a process that is over");
    return this.#session;
  }
}
