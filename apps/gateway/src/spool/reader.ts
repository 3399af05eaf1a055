// Reads one output from disk, from an offset to its end, waking when bytes come. Holds its place in the spool, so that
// what it still needs stays; never holds bytes beyond the chunk that it gives out.
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { MAX_CHUNK_BYTES } from "@sallyport/contracts";
import type { Segment } from "./segments.ts";
import type { StreamSpool } from "./stream.ts";

export type ReadEvent =
  | { readonly kind: "chunk"; readonly offset: number; readonly data: Buffer }
  /** Bytes below are no longer kept. */
  | { readonly kind: "gap"; readonly offset: number }
  | { readonly kind: "end"; readonly offset: number };

export interface ReadOptions {
  readonly offset: number;
  /** What the offset is called in the request; "offset" when unset. */
  readonly field?: string;
  /** Otherwise reading ends with what is there. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/**
 * Yields an output's bytes. Each step says that everything yielded before was taken. Throws InvalidArgument (`offset`)
 * beyond the end of an output that has ended, ResourceExhausted with too many readers.
 */
export async function* readStream(
  spool: StreamSpool,
  options: ReadOptions,
): AsyncGenerator<ReadEvent, void, undefined> {
  const { follow, signal } = options;
  let offset = options.offset;
  refuseBeyondEnd(spool, options, offset);
  const until = follow ? Number.POSITIVE_INFINITY : spool.end;
  const place = spool.enter(offset);
  if (place === undefined) throw new AppError("ResourceExhausted", "too many readers of this output");
  const file = new SegmentFile();
  let finished = !follow;
  try {
    for (;;) {
      signal.throwIfAborted();
      spool.advance(place, offset);
      if (offset < spool.start) {
        offset = spool.start;
        yield { kind: "gap", offset };
      } else if (offset < Math.min(spool.end, until)) {
        const data = await file.read(spool, offset, Math.min(spool.end, until) - offset);
        yield { kind: "chunk", offset, data };
        offset += data.length;
      } else if (spool.ended && offset >= spool.end) {
        refuseBeyondEnd(spool, options, offset);
        finished = true;
        yield { kind: "end", offset };
        return;
      } else if (!follow) {
        return;
      } else if (spool.closed) {
        throw new AppError("Unavailable", "the output is being closed");
      } else {
        await spool.changed(signal);
      }
    }
  } finally {
    spool.leave(place, !finished);
    await file.close();
  }
}

function refuseBeyondEnd(spool: StreamSpool, { field = "offset" }: ReadOptions, offset: number): void {
  if (spool.ended && offset > spool.end) {
    throw invalidArgument(field, `the output ended at ${spool.end}, ${offset} is beyond`);
  }
}

/** The file that is being read; opened anew where the next one begins. */
class SegmentFile {
  #segment: Segment | undefined;
  #handle: FileHandle | undefined;

  async read(spool: StreamSpool, offset: number, wanted: number): Promise<Buffer> {
    const segment = spool.segmentAt(offset);
    if (segment === undefined) throw new AppError("Internal", "no file holds this offset");
    if (segment !== this.#segment || this.#handle === undefined) {
      await this.close();
      this.#handle = await open(segment.path, "r");
      this.#segment = segment;
    }
    const within = offset - segment.start;
    const length = Math.min(wanted, segment.length - within, MAX_CHUNK_BYTES);
    const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafe(length), 0, length, within);
    if (bytesRead === 0) throw new AppError("Internal", "a file of the spool is shorter than recorded");
    return buffer.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    this.#segment = undefined;
    await handle?.close();
  }
}
