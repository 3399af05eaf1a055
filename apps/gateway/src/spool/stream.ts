// One output of one process on disk: appended in order, read from any kept offset, bounded. While a reader needs the
// oldest bytes a full spool has no room (the caller then withholds init's acknowledgement); without one they go.
import { constants, unlink, writeFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { Logger } from "@sallyport/appkit/logger";
import { MAX_READERS_PER_STREAM } from "../limits.ts";
import { Change } from "../wait.ts";
import type { Segment, StreamName } from "./segments.ts";
import { recoverSegments, segmentPath } from "./segments.ts";

export interface StreamSpoolOptions {
  readonly directory: string;
  readonly name: StreamName;
  /** The most bytes kept. */
  readonly streamBytes: number;
  /** How long a reader that went away before the end keeps its place. */
  readonly readerGraceMs: number;
  readonly logger: Logger;
  /** Whether the output's end was recorded before. */
  readonly ended: boolean;
  readonly listener: StreamListener;
}

/** Who is told of changes. */
interface StreamListener {
  /** Bytes reached the disk, or room may have been made. */
  stored(): void;
  /** Every byte up to the end is on disk. */
  ended(): void;
  /** So many bytes more are kept, or fewer. */
  kept(deltaBytes: number): void;
}

/** A reader's place: bytes from there on are still needed. */
export interface Place {
  offset: number;
}

const SEGMENTS_PER_STREAM = 16;
const MAX_BATCH_BYTES = 1024 * 1024;
const DISK_RETRY_MS = 1_000;

export class StreamSpool {
  readonly name: StreamName;
  readonly #options: StreamSpoolOptions;
  readonly #segmentBytes: number;
  readonly #segments: Segment[];
  readonly #places = new Set<Place>();
  readonly #leases = new Map<Place, NodeJS.Timeout>();
  readonly #change = new Change();
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #end = 0;
  #ended: boolean;
  #finishing = false;
  #flushing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #closed = false;

  constructor(options: StreamSpoolOptions) {
    this.name = options.name;
    this.#options = options;
    this.#segmentBytes = Math.ceil(options.streamBytes / SEGMENTS_PER_STREAM);
    this.#segments = recoverSegments(options.directory, options.name);
    this.#ended = options.ended;
    const last = this.#segments.at(-1);
    if (last === undefined) return;
    this.#end = last.start + last.length;
    options.listener.kept(this.kept);
    // Whoever read this before a restart is about to come back: its place is not known, so all is kept for a while.
    if (!this.#ended) this.#lease({ offset: this.start });
  }

  /** The lowest offset kept. */
  get start(): number {
    return this.#segments[0]?.start ?? this.#end;
  }

  /** Every byte below is on disk. */
  get end(): number {
    return this.#end;
  }

  /** Every byte below is on disk or on its way. */
  get tail(): number {
    return this.#end + this.#queuedBytes;
  }

  get kept(): number {
    return this.#end - this.start;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether nothing will change any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether more bytes may come. */
  get hasRoom(): boolean {
    return this.kept <= this.#options.streamBytes;
  }

  /** The file that holds a kept offset. */
  segmentAt(offset: number): Segment | undefined {
    return this.#segments.findLast((segment) => segment.start <= offset);
  }

  /** Starts an output whose first bytes were never seen. Only before the first append. */
  skipTo(offset: number): void {
    if (this.#segments.length > 0 || offset === 0) return;
    this.#end = offset;
    this.#keepOffset();
  }

  /** Takes the next bytes of the output; they are on disk when `listener.stored` says so. */
  append(bytes: Buffer): void {
    if (this.#ended || this.#finishing || this.#closed) throw new TypeError("append after the end");
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#flushing ??= this.#flush();
  }

  /** The output ends with what was appended. */
  finish(): void {
    if (this.#ended || this.#finishing) return;
    this.#finishing = true;
    this.#flushing ??= this.#flush();
  }

  /** Resolves when nothing is on its way to the disk. */
  async settled(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  /** Keeps the bytes from this offset on until the place is left. Undefined when there are too many readers. */
  enter(offset: number): Place | undefined {
    if (this.#places.size - this.#leases.size >= MAX_READERS_PER_STREAM) return undefined;
    // A reader that returns needs the lease that it left no more: what it missed was on its way, a segment at most.
    const left = this.#leases.keys().find((place) => Math.abs(place.offset - offset) <= this.#segmentBytes);
    const place = { offset };
    this.#places.add(place);
    if (left !== undefined) this.#endLease(left);
    return place;
  }

  /** Moves a place forward. */
  advance(place: Place, offset: number): void {
    place.offset = offset;
    this.#makeRoom();
  }

  /** Gives a place up: at once, or after the grace for a reader that may be reconnecting. */
  leave(place: Place, mayReturn: boolean): void {
    if (mayReturn && !this.#ended && !this.#closed) this.#lease(place);
    else {
      this.#places.delete(place);
      this.#makeRoom();
    }
  }

  /** Whether the oldest bytes are needed by nobody. */
  get droppable(): boolean {
    const first = this.#segments[0];
    if (first === undefined || first.length === 0) return false;
    if (this.#segments.length === 1 && this.#flushing !== undefined) return false; // it is being written to
    // A segment of slack behind each reader: what was handed to the network may not have arrived.
    const slack = this.#segmentBytes;
    for (const place of this.#places) if (place.offset < first.start + first.length + slack) return false;
    return true;
  }

  /** Forgets the oldest file. Only when {@link droppable}. */
  dropOldest(): void {
    const first = this.#segments.shift();
    if (first === undefined) return;
    this.#options.listener.kept(-first.length);
    if (this.#segments.length === 0) {
      this.#closeFile();
      this.#keepOffset();
    }
    unlink(first.path, (error) => {
      if (error !== null) this.#options.logger.warn({ err: error }, "an old segment could not be removed");
    });
  }

  /** Resolves at the next change: bytes, the end, or the close. */
  async changed(signal: AbortSignal): Promise<void> {
    await this.#change.next(signal);
  }

  /** Stops writing and frees the file; what is on disk stays. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const place of this.#leases.keys()) this.#endLease(place);
    this.#change.announce();
    await this.settled();
    this.#closeFile();
  }

  async #flush(): Promise<void> {
    await Promise.resolve(); // so that appends of one turn make one write
    while (this.#queue.length > 0 && !this.#closed) {
      await this.#writeAll(this.#takeBatch());
      this.#makeRoom();
      this.#change.announce();
    }
    if (this.#finishing && !this.#closed) {
      this.#ended = true;
      this.#closeFile();
      for (const place of this.#leases.keys()) this.#endLease(place);
      this.#options.listener.ended();
      this.#change.announce();
    }
    this.#flushing = undefined;
  }

  #takeBatch(): Buffer[] {
    let bytes = 0;
    let count = 0;
    for (const buffer of this.#queue) {
      bytes += buffer.length;
      count += 1;
      if (bytes >= MAX_BATCH_BYTES) break;
    }
    const batch = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return batch;
  }

  /** Writes until all is on disk. A disk that is full or sick delays: bytes are dropped by bounds only. */
  async #writeAll(batch: Buffer[]): Promise<void> {
    let left = batch;
    while (left.length > 0) {
      try {
        const segment = this.#currentSegment();
        this.#file ??= await open(segment.path, constants.O_WRONLY | constants.O_CREAT, 0o600);
        // At its position, so that writing again after an error that wrote a part does no harm.
        const { bytesWritten } = await this.#file.writev(left, segment.length);
        segment.length += bytesWritten;
        this.#end += bytesWritten;
        this.#queuedBytes -= bytesWritten;
        this.#options.listener.kept(bytesWritten);
        left = skipBytes(left, bytesWritten);
      } catch (error) {
        if (this.#closed) return;
        this.#options.logger.error({ err: error }, "output cannot be stored; trying again");
        await new Promise((resolve) => setTimeout(resolve, DISK_RETRY_MS));
      }
    }
  }

  #currentSegment(): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.length < this.#segmentBytes) return last;
    this.#closeFile();
    return this.#newSegment();
  }

  /** An empty file keeps the offset when no bytes do. */
  #keepOffset(): void {
    writeFileSync(this.#newSegment().path, "", { mode: 0o600 });
  }

  #newSegment(): Segment {
    const { directory, name } = this.#options;
    const segment = { path: segmentPath(directory, name, this.#end), start: this.#end, length: 0 };
    this.#segments.push(segment);
    return segment;
  }

  #makeRoom(): void {
    while (this.kept > this.#options.streamBytes && this.#segments.length > 1 && this.droppable) this.dropOldest();
    this.#options.listener.stored();
  }

  #lease(place: Place): void {
    this.#places.add(place);
    const timer = setTimeout(() => this.#endLease(place), this.#options.readerGraceMs);
    timer.unref();
    this.#leases.set(place, timer);
  }

  #endLease(place: Place): void {
    clearTimeout(this.#leases.get(place));
    this.#leases.delete(place);
    this.#places.delete(place);
    this.#makeRoom();
  }

  #closeFile(): void {
    const file = this.#file;
    this.#file = undefined;
    file?.close().catch((error: unknown) => this.#options.logger.warn({ err: error }, "a segment could not be closed"));
  }
}

function skipBytes(buffers: Buffer[], count: number): Buffer[] {
  let rest = count;
  let index = 0;
  for (const buffer of buffers) {
    if (rest < buffer.length) break;
    rest -= buffer.length;
    index += 1;
  }
  const left = buffers.slice(index);
  const [first] = left;
  return first === undefined || rest === 0 ? left : [first.subarray(rest), ...left.slice(1)];
}
