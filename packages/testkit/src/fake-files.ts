// The files of a sandbox of the fake platform: in memory, regular files only, written in pieces as the real ones are.
import type { ReadFileRequest, ReadFileResponse, WriteFileRequest } from "@sallyport/contracts";
import { FileType } from "@sallyport/contracts";
import { wireError } from "./fake-failure.ts";

interface FakeFile {
  readonly data: Buffer;
  readonly mode: number;
  readonly modifiedAt: Date;
}

export class FakeFiles {
  readonly files: Map<string, FakeFile> = new Map();
  /** Bytes of each write that is under way, or has ended. */
  readonly writes: Map<string, { data: Buffer; ended: boolean }> = new Map();

  set(path: string, data: Buffer, mode = 0o644): void {
    this.files.set(path, { data, mode, modifiedAt: new Date() });
  }

  write({ data, end, mode, offset, path, writeId }: WriteFileRequest): { acceptedOffset: number } {
    let write = this.writes.get(writeId);
    if (write === undefined) {
      if (offset !== 0) throw wireError({ code: "NotFound", field: "write_id" });
      write = { data: Buffer.alloc(0), ended: false };
      this.writes.set(writeId, write);
    }
    const known = write.data.length;
    // The real one lets a piece that comes early wait; here it is told to come again.
    if (offset > known) throw wireError({ code: "Unavailable", retryAfterMs: 1 });
    write.data = Buffer.concat([write.data, data.subarray(known - offset)]);
    if (end && !write.ended) {
      write.ended = true;
      this.set(path, write.data, this.files.get(path)?.mode ?? mode);
    }
    return { acceptedOffset: write.data.length };
  }

  async *read({ offset, path }: ReadFileRequest, maxChunkBytes: number): AsyncGenerator<ReadFileResponse, void> {
    const { data, mode, modifiedAt } = this.#get(path);
    yield { event: { $case: "info", value: { path, type: FileType.FILE, size: data.length, mode, modifiedAt } } };
    let at = Math.min(offset, data.length);
    while (at < data.length) {
      const value = data.subarray(at, at + maxChunkBytes);
      yield { event: { $case: "data", value } };
      at += value.length;
    }
    yield { event: { $case: "end", value: { offset: at } } };
  }

  remove(path: string): void {
    this.#get(path);
    this.files.delete(path);
  }

  #get(path: string): FakeFile {
    const file = this.files.get(path);
    if (file === undefined) throw wireError({ code: "NotFound", field: "path" });
    return file;
  }
}

/** Breaks a stream off with `Unavailable` after so many messages. */
export async function* brokenAfter<T>(messages: AsyncIterable<T>, count: number): AsyncGenerator<T, void> {
  let sent = 0;
  for await (const message of messages) {
    if (sent === count) throw wireError({ code: "Unavailable", retryAfterMs: 1 });
    sent += 1;
    yield message;
  }
}
