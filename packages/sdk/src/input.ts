// What a process reads, as a web stream: written at byte offsets, so that a repeated write changes nothing.
import { MAX_CHUNK_BYTES } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { SallyportError, sdkError } from "./errors.ts";
import type { SandboxIo } from "./sandbox-io.ts";

/** Longest single attempt of a write: the process may take its time to read, and the write is then repeated. */
const WRITE_ATTEMPT_MS = 60_000;

/**
 * The standard input of a process. Writes resolve once the process's buffer has taken them, which paces the writer,
 * and ride out restarts of the platform. Once the process reads no more they reject with `FailedPrecondition`.
 * Aborting the stream closes the input.
 */
export interface Input extends WritableStream<Uint8Array> {
  /** Writes, after all that was sent before. */
  send(chunk: string | Uint8Array): Promise<void>;
  /** Closes standard input after all that was sent; once closed, does nothing. */
  end(): Promise<void>;
}

/** The writer behind {@link Input}: one at a time, in order. */
class Sink {
  readonly #io: SandboxIo;
  readonly #execId: string;
  readonly #check: (() => void) | undefined;
  #tail: Promise<void> = Promise.resolve();
  #offset = 0;
  #ended = false;

  constructor(io: SandboxIo, execId: string, check: (() => void) | undefined) {
    this.#io = io;
    this.#execId = execId;
    this.#check = check;
  }

  write(data: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#ended) throw sdkError("FailedPrecondition", "standard input is closed");
      for (let at = 0; at < data.length; at += MAX_CHUNK_BYTES) {
        await this.#send(data.subarray(at, at + MAX_CHUNK_BYTES), false);
      }
    });
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#ended) return;
      this.#ended = true;
      await this.#send(new Uint8Array(), true);
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#tail.then(work);
    // Whoever asked hears of a failure; the next in the row is not told a second time.
    this.#tail = turn.then(undefined, () => undefined);
    return turn;
  }

  async #send(data: Uint8Array, end: boolean): Promise<void> {
    this.#check?.();
    const request = { execId: this.#execId, offset: this.#offset, data: Buffer.from(data), end };
    const scope = this.#io.scope("writing to standard input", {});
    const { acceptedOffset, closed } = await this.#io.call(
      scope,
      (stub, options) => callUnary(stub, stub.writeInput, request, options),
      {
        maxAttemptMs: WRITE_ATTEMPT_MS,
      },
    );
    this.#offset += data.length;
    if (!closed || end) return;
    this.#ended = true;
    // A process that takes its last line and exits at once has taken it.
    if (acceptedOffset < this.#offset) throw inputClosed();
  }
}

const encoder = new TextEncoder();

/** The one implementation of {@link Input}. */
export class ProcessInput extends WritableStream<Uint8Array> implements Input {
  readonly #sink: Sink;

  /** `check` throws when there is no such process or somebody else feeds it. */
  constructor(io: SandboxIo, execId: string, check?: () => void) {
    const sink = new Sink(io, execId, check);
    super({
      write: (chunk) => sink.write(chunk),
      close: () => sink.close(),
      abort: () => sink.close(),
    });
    this.#sink = sink;
  }

  async send(chunk: string | Uint8Array): Promise<void> {
    await this.#sink.write(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
  }

  async end(): Promise<void> {
    await this.#sink.close();
  }
}

/** What a process can be fed from. */
export type InputSource = string | Uint8Array | ReadableStream<Uint8Array>;

/** Feeds a process from a source to the source's end, in the background. */
export class Feeder {
  readonly #sink: Sink;
  #stop: () => void = () => {};
  #failure: Error | undefined;

  constructor(io: SandboxIo, execId: string, source: InputSource) {
    this.#sink = new Sink(io, execId, undefined);
    void this.#run(source);
  }

  /** Why the process did not get all of its input, though it would have read it. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The process has ended: lets the source go. */
  stop(): void {
    this.#stop();
  }

  async #run(source: InputSource): Promise<void> {
    try {
      if (typeof source === "string") await this.#sink.write(encoder.encode(source));
      else if (source instanceof Uint8Array) await this.#sink.write(source);
      else await this.#pump(source);
    } catch (error) {
      if (!isProcessGone(error)) this.#failure = error instanceof Error ? error : new Error(String(error));
    }
    try {
      await this.#sink.close();
    } catch (error) {
      if (!isProcessGone(error)) this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  async #pump(source: ReadableStream<Uint8Array>): Promise<void> {
    const reader = source.getReader();
    const cancel = () => {
      reader.cancel().catch(ignoreCancelFailure);
    };
    this.#stop = cancel;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        await this.#sink.write(value);
      }
    } catch (error) {
      cancel();
      throw error;
    }
  }
}

function ignoreCancelFailure(): void {
  // The source is given up: how it takes that is its own affair.
}

function inputClosed(): SallyportError {
  return sdkError("FailedPrecondition", "the process no longer reads its standard input");
}

/** After these nobody is left to read: what was not written is nobody's loss. */
function isProcessGone(error: unknown): boolean {
  return ["FailedPrecondition", "SandboxEnded", "NotFound"].some(
    (code) => SallyportError.is(error) && error.code === code,
  );
}
