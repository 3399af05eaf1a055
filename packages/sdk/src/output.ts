// What a process writes, as a web stream: read by byte offsets, pulled lazily, resumed without loss or repetition.
import type { OutputStream } from "@sallyport/contracts";
import { sdkError } from "./errors.ts";
import type { SandboxIo } from "./sandbox-io.ts";

/** How {@link Output.from} reads. */
export interface OutputReadOptions {
  /** Told of bytes that are no longer kept, which are then skipped. Default: reading them rejects with `FailedPrecondition`. */
  readonly onGap?: ((gap: { readonly from: number; readonly to: number }) => void) | undefined;
  /** `false`: ends with what is there, though the process may write more. Default: `true`. */
  readonly follow?: boolean | undefined;
}

/**
 * The output of a process. The platform keeps it: one that nobody reads stalls neither another output nor another
 * reader, and reconnects neither lose nor repeat a byte. Nothing is fetched before it is read.
 *
 * Without a reader a process may write more than is kept. Reading bytes that are gone rejects with
 * `FailedPrecondition`, never silently skips; {@link Output.from} reads what is left.
 *
 * It ends when the process closed it. Errors of reading: `FailedPrecondition` (bytes no longer kept, handle let go),
 * `NotFound`, `SandboxEnded`, `Unavailable` (the platform was away for more than 30 s).
 */
export interface Output extends ReadableStream<Uint8Array> {
  /** Everything to the end, as UTF-8; bytes that are none become U+FFFD. */
  text(): Promise<string>;
  /** Line by line, without `\n` or `\r\n`; characters and lines may be split anywhere on the way. Leaving the loop cancels. */
  lines(): AsyncIterable<string>;
  /** Another, independent reader of the same output, from a byte offset (0 = the first byte ever written). */
  from(offset: number, options?: OutputReadOptions): Output;
}

/** Where an output comes from. */
export interface OutputSource {
  readonly io: SandboxIo;
  readonly execId: string;
  readonly stream: OutputStream;
  /** "stdout" or "stderr", for messages. */
  readonly name: string;
  /** Ends every reader. */
  readonly closed?: AbortSignal;
  /** Throws when there is no such process. */
  readonly check?: () => void;
}

/** The one implementation of {@link Output}. */
export class ProcessOutput extends ReadableStream<Uint8Array> implements Output {
  readonly #source: OutputSource;

  constructor(source: OutputSource, offset = 0, options: OutputReadOptions = {}) {
    const cancelled = new AbortController();
    let chunks: AsyncGenerator<Uint8Array, void> | undefined;
    super(
      {
        async pull(controller) {
          chunks ??= readChunks(source, offset, options, cancelled.signal);
          const { done, value } = await chunks.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
        cancel() {
          cancelled.abort(sdkError("Cancelled", `reading ${source.name} was cancelled`));
        },
      },
      // Nothing is fetched ahead of the reader; what is on its way is bounded by gRPC's flow control.
      { highWaterMark: 0 },
    );
    this.#source = source;
  }

  async text(): Promise<string> {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let text = "";
    for await (const chunk of this) text += decoder.decode(chunk, { stream: true });
    return text + decoder.decode();
  }

  async *lines(): AsyncGenerator<string, void> {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    // Pieces of the line that has no end yet; joined once, so that a long line costs no more than its length.
    let pieces: string[] = [];
    for await (const chunk of this) {
      const parts = decoder.decode(chunk, { stream: true }).split("\n");
      const rest = parts.pop() ?? "";
      for (const part of parts) {
        pieces.push(part);
        yield withoutReturn(pieces.join(""));
        pieces = [];
      }
      if (rest !== "") pieces.push(rest);
    }
    const last = pieces.join("") + decoder.decode();
    if (last !== "") yield withoutReturn(last);
  }

  from(offset: number, options: OutputReadOptions = {}): Output {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw sdkError("InvalidArgument", `offset: ${offset} is not a byte offset`, { field: "offset" });
    }
    return new ProcessOutput(this.#source, offset, options);
  }
}

async function* readChunks(
  source: OutputSource,
  offset: number,
  { onGap, follow = true }: OutputReadOptions,
  cancelled: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  source.check?.();
  const signal = source.closed === undefined ? cancelled : AbortSignal.any([cancelled, source.closed]);
  const scope = source.io.scope(`reading ${source.name}`, { signal });
  for await (const event of source.io.read(scope, source.execId, source.stream, { offset, follow })) {
    if (event.type === "bytes") {
      yield event.data;
    } else if (onGap !== undefined) {
      onGap({ from: event.from, to: event.to });
    } else {
      throw sdkError("FailedPrecondition", `bytes ${event.from} to ${event.to} of ${source.name} are no longer kept`, {
        hint: `read ${source.name} while the process runs, or take what is left: ${source.name}.from(${event.to}), or from(0, { onGap })`,
      });
    }
  }
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
