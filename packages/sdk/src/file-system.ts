// The files of a sandbox.
import type { FileInfo as WireFileInfo } from "@sallyport/contracts";
import { FileType } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { SallyportError, sdkError } from "./errors.ts";
import { FileReader } from "./file-reader.ts";
import type { UploadSource } from "./file-upload.ts";
import { bytesSource, streamSource, uploadFile } from "./file-upload.ts";
import { LocalTarget, localSource } from "./local-file.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { CallOptions } from "./scope.ts";
import { MAX_UINT32, wholeNumber } from "./wire-values.ts";

/** What is at a path of a sandbox; of a symbolic link, the link itself. */
export interface FileInfo {
  /** Absolute. Names that are no UTF-8 are shown with U+FFFD in them, and cannot be asked for by this path. */
  readonly path: string;
  /** "other" is a device, a socket or a pipe. */
  readonly type: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  readonly size: number;
  /** Permission bits, e.g. 0o644. */
  readonly mode: number;
  readonly modifiedAt: Date;
}

/** How {@link FileSystem.write} writes. */
export interface WriteOptions extends CallOptions {
  /** Permission bits of a new file. Default 0o644; a file that is replaced keeps its own. */
  readonly mode?: number | undefined;
}

/** How {@link FileSystem.upload} and {@link FileSystem.download} transfer. */
export interface TransferOptions extends CallOptions {
  /** Told, now and then, how many bytes of the file have arrived. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * The files of a sandbox, as the user that its processes run as sees them. Paths are absolute. Reading, writing and
 * transferring have no deadline by default; the others 60 s.
 *
 * Errors, with `field` "path" where the path is at fault: `NotFound`; `AlreadyExists`; `FailedPrecondition` (a directory
 * where a file is needed or the other way round, not a regular file, not empty, read-only); `PermissionDenied`;
 * `ResourceExhausted` (the disk is full); `InvalidArgument` (not absolute, too long, a loop of links); `SandboxEnded`;
 * and those of every call.
 */
export interface FileSystem {
  /** A whole file, links followed; `readStream` for what should not be held in memory. */
  read(path: string, options?: CallOptions): Promise<Uint8Array>;
  /** A whole file as UTF-8; bytes that are none become U+FFFD. */
  readText(path: string, options?: CallOptions): Promise<string>;
  /**
   * A file as a stream. Resolves once the file is open; nothing is fetched much ahead of the reader. `signal` and
   * `timeoutMs` hold until the stream's end. Goes on after a broken connection, unless the file has changed meanwhile:
   * `FailedPrecondition`.
   */
  readStream(path: string, options?: CallOptions): Promise<ReadableStream<Uint8Array>>;
  /**
   * Writes a file, or replaces it. It takes its place whole: until then, and after a failure, what was there stays. A
   * symbolic link is followed. A stream is read once: when the platform loses what it got of it, as in a restart, it
   * rejects with `Unavailable`; strings and bytes are sent again.
   */
  write(path: string, data: string | Uint8Array | ReadableStream<Uint8Array>, options?: WriteOptions): Promise<void>;
  /** What is in a directory, in the order of the names' bytes. */
  list(path: string, options?: CallOptions): Promise<readonly FileInfo[]>;
  stat(path: string, options?: CallOptions): Promise<FileInfo>;
  /** Makes a directory; with `recursive` those above it too, and one that is there is as good. */
  mkdir(path: string, options?: CallOptions & { readonly recursive?: boolean | undefined }): Promise<void>;
  /** Removes a file, a link or an empty directory; with `recursive` a directory with all in it, no link followed. */
  remove(path: string, options?: CallOptions & { readonly recursive?: boolean | undefined }): Promise<void>;
  /** Copies a local file into the sandbox; a new one gets its permission bits. Errors of the local file have field "local". */
  upload(local: string, remote: string, options?: TransferOptions): Promise<void>;
  /** Copies a file of the sandbox to a local path, where it appears whole or not at all. */
  download(remote: string, local: string, options?: TransferOptions): Promise<void>;
}

const QUICK_MS = 60_000;
/** Removing a large tree takes its time. */
const ATTEMPT_MS = 60_000;
/** As many as the platform lists. */
const MAX_LISTED = 262_144;
const MODE_BITS = 0o777;

/** The one implementation of {@link FileSystem}. */
export class SandboxFiles implements FileSystem {
  readonly #io: SandboxIo;

  constructor(io: SandboxIo) {
    this.#io = io;
  }

  async read(path: string, options: CallOptions = {}): Promise<Uint8Array> {
    const reader = await this.#open("fs.read", path, options);
    const chunks = await Array.fromAsync(reader.chunks());
    const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  async readText(path: string, options: CallOptions = {}): Promise<string> {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await this.read(path, options));
  }

  async readStream(path: string, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const cancelled = new AbortController();
    const { signal } = options;
    const either = signal === undefined ? cancelled.signal : AbortSignal.any([signal, cancelled.signal]);
    const reader = await this.#open("fs.readStream", path, { ...options, signal: either });
    const chunks = reader.chunks();
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = await chunks.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
        cancel() {
          cancelled.abort(sdkError("Cancelled", `reading ${path} was cancelled`));
        },
      },
      { highWaterMark: 0 },
    );
  }

  async write(
    path: string,
    data: string | Uint8Array | ReadableStream<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<void> {
    const source = sourceOf(data);
    const mode = wholeNumber("mode", options.mode, MAX_UINT32);
    await uploadFile(this.#io, this.#io.scope("fs.write", options), { path, source, mode, onProgress: undefined });
  }

  async list(path: string, options: CallOptions = {}): Promise<readonly FileInfo[]> {
    const scope = this.#io.scope("fs.list", options, QUICK_MS);
    const files = await this.#io.call(
      scope,
      async (stub, call) => {
        const found: FileInfo[] = [];
        for await (const message of callServerStream(stub, stub.listFiles, { path }, call)) {
          for (const file of message.files) found.push(toFileInfo(file));
          if (found.length > MAX_LISTED) throw sdkError("ResourceExhausted", `${path} has too many entries`);
        }
        return found;
      },
      { maxAttemptMs: ATTEMPT_MS },
    );
    return files;
  }

  async stat(path: string, options: CallOptions = {}): Promise<FileInfo> {
    const scope = this.#io.scope("fs.stat", options, QUICK_MS);
    const { file } = await this.#io.call(scope, (stub, call) => callUnary(stub, stub.statFile, { path }, call));
    if (file === undefined) throw sdkError("Internal", "the platform answered without a file");
    return toFileInfo(file);
  }

  async mkdir(path: string, options: CallOptions & { readonly recursive?: boolean | undefined } = {}): Promise<void> {
    const scope = this.#io.scope("fs.mkdir", options, QUICK_MS);
    const request = { path, recursive: options.recursive ?? false };
    await unlessDoneBefore("AlreadyExists", (count) =>
      this.#io.call(scope, (stub, call) => {
        count();
        return callUnary(stub, stub.makeDirectory, request, call);
      }),
    );
  }

  async remove(path: string, options: CallOptions & { readonly recursive?: boolean | undefined } = {}): Promise<void> {
    const scope = this.#io.scope("fs.remove", options, QUICK_MS);
    const request = { path, recursive: options.recursive ?? false };
    await unlessDoneBefore("NotFound", (count) =>
      this.#io.call(
        scope,
        (stub, call) => {
          count();
          return callUnary(stub, stub.removeFile, request, call);
        },
        { maxAttemptMs: ATTEMPT_MS },
      ),
    );
  }

  async upload(local: string, remote: string, options: TransferOptions = {}): Promise<void> {
    const scope = this.#io.scope("fs.upload", options);
    const { mode, source } = await localSource(local);
    const { onProgress } = options;
    await uploadFile(this.#io, scope, { path: remote, source, mode: mode & MODE_BITS, onProgress });
  }

  async download(remote: string, local: string, options: TransferOptions = {}): Promise<void> {
    const reader = await this.#open("fs.download", remote, options);
    await using target = await LocalTarget.open(local);
    let bytes = 0;
    for await (const chunk of reader.chunks()) {
      await target.write(chunk);
      bytes += chunk.length;
      options.onProgress?.(bytes);
    }
    await target.finish();
  }

  async #open(what: string, path: string, options: CallOptions): Promise<FileReader> {
    return await FileReader.open(this.#io, this.#io.scope(what, options), path);
  }
}

function sourceOf(data: string | Uint8Array | ReadableStream<Uint8Array>): UploadSource {
  if (typeof data === "string") return bytesSource(new TextEncoder().encode(data));
  if (data instanceof Uint8Array) return bytesSource(data);
  if (data instanceof ReadableStream) return streamSource(data);
  throw new TypeError("what is written is a string, a Uint8Array or a ReadableStream of these");
}

/** An answer that was lost says nothing: what a repetition finds done may have been done by the attempt before. */
async function unlessDoneBefore(
  code: "AlreadyExists" | "NotFound",
  call: (count: () => void) => Promise<unknown>,
): Promise<void> {
  let attempts = 0;
  try {
    await call(() => {
      attempts += 1;
    });
  } catch (error) {
    if (attempts < 2 || !SallyportError.is(error, code) || error.field !== "path") throw error;
  }
}

const TYPES: ReadonlyMap<FileType, FileInfo["type"]> = new Map([
  [FileType.FILE, "file"],
  [FileType.DIRECTORY, "directory"],
  [FileType.SYMLINK, "symlink"],
]);

function toFileInfo({ mode, modifiedAt, path, size, type }: WireFileInfo): FileInfo {
  return { path, type: TYPES.get(type) ?? "other", size, mode, modifiedAt: modifiedAt ?? new Date(0) };
}
