// Writing one file of a sandbox: cut into pieces of which a few are on their way, each of them repeated until it has
// arrived; begun again where the platform has lost the pieces, as far as the source can be read twice.
import { randomUUID } from "node:crypto";
import { MAX_CHUNK_BYTES } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { SallyportError, sdkError } from "./errors.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { Scope } from "./scope.ts";

/** Where a file's bytes come from. */
export interface UploadSource {
  /** Whether it can be read once more. */
  readonly repeatable: boolean;
  /** Bytes in chunks of any size. */
  read(): AsyncGenerator<Uint8Array, void>;
}

export interface Upload {
  readonly path: string;
  readonly source: UploadSource;
  readonly mode: number | undefined;
  readonly onProgress: ((bytes: number) => void) | undefined;
}

interface Piece {
  readonly offset: number;
  readonly data: Buffer;
  readonly end: boolean;
}

const PIECES_UNDER_WAY = 4;
const PIECE_ATTEMPT_MS = 60_000;
/** A platform that loses a file so often will not keep it the next time. */
const MAX_BEGINNINGS = 5;

/** Resolves once the file is in its place. */
export async function uploadFile(io: SandboxIo, scope: Scope, upload: Upload): Promise<void> {
  for (let beginning = 1; ; beginning += 1) {
    try {
      await uploadOnce(io, scope, upload);
      return;
    } catch (error) {
      if (!SallyportError.is(error, "NotFound") || error.field !== "write_id") throw error;
      if (!upload.source.repeatable) {
        throw sdkError("Unavailable", "the platform lost what was written, and the stream cannot be read again", {
          hint: "write from bytes or by upload() to have it sent again",
          cause: error,
        });
      }
      if (beginning === MAX_BEGINNINGS) throw sdkError("Unavailable", "the platform lost the file", { cause: error });
    }
  }
}

async function uploadOnce(io: SandboxIo, scope: Scope, { mode, onProgress, path, source }: Upload): Promise<void> {
  const writeId = randomUUID();
  const chunks = source.read();
  const underWay = new Set<Promise<void>>();
  let failure: Error | undefined;
  let arrived = 0;
  const send = async ({ data, end, offset }: Piece) => {
    const request = { writeId, path, offset, data, end, mode };
    await io.call(scope, (stub, options) => callUnary(stub, stub.writeFile, request, options), {
      maxAttemptMs: PIECE_ATTEMPT_MS,
    });
    arrived += data.length;
    onProgress?.(arrived);
  };
  const sendBeside = (piece: Piece) => {
    const sending = send(piece)
      .catch((error: unknown) => {
        failure ??= asError(error);
      })
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
  };
  const pieces = cut(within(scope, chunks));
  try {
    for await (const piece of pieces) {
      // The first one begins the write: until it has, the others would be strangers.
      if (piece.offset === 0) await send(piece);
      else sendBeside(piece);
      while (underWay.size >= PIECES_UNDER_WAY) await Promise.race(underWay);
      if (failure !== undefined) break;
    }
  } catch (error) {
    failure ??= asError(error);
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure;
}

/** A stream may fail with anything. */
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error("the source failed", { cause: thrown });
}

/** The same chunks, for as long as the scope lasts: a source may be silent for longer. */
async function* within(scope: Scope, chunks: AsyncGenerator<Uint8Array, void>): AsyncGenerator<Uint8Array, void> {
  let over = false;
  try {
    for (;;) {
      const { done, value } = await scope.waitFor(chunks.next());
      if (done === true) {
        over = true;
        return;
      }
      yield value;
    }
  } finally {
    // Not awaited: a source that is being read ends its reading first.
    if (!over) chunks.return().catch(ignoreSourceFailure);
  }
}

function ignoreSourceFailure(): void {
  // The source is given up: how it takes that is its own affair.
}

/** Pieces of the greatest size but the last, which alone says that it is. */
async function* cut(chunks: AsyncGenerator<Uint8Array, void>): AsyncGenerator<Piece, void> {
  let offset = 0;
  let held = Buffer.alloc(0);
  let filled = 0;
  for await (const chunk of chunks) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError("a stream that is written gives Uint8Arrays");
    for (let at = 0; at < chunk.length; ) {
      if (filled === held.length) {
        if (filled > 0) {
          yield { offset, data: held, end: false };
          offset += filled;
        }
        // A new one each time: the one before may still be on its way.
        held = Buffer.allocUnsafeSlow(MAX_CHUNK_BYTES);
        filled = 0;
      }
      const part = chunk.subarray(at, at + held.length - filled);
      held.set(part, filled);
      filled += part.length;
      at += part.length;
    }
  }
  yield { offset, data: held.subarray(0, filled), end: true };
}

/** Bytes in memory. */
export function bytesSource(bytes: Uint8Array): UploadSource {
  return {
    repeatable: true,
    async *read() {
      yield bytes;
    },
  };
}

/** A stream, which is cancelled when it is given up. */
export function streamSource(stream: ReadableStream<Uint8Array>): UploadSource {
  return {
    repeatable: false,
    async *read() {
      for await (const chunk of stream) yield chunk;
    },
  };
}
