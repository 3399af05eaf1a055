// What goes out to a client: the frames of a turn of the event loop in one write, and the connection's window
// (RFC 9113, section 6.9).
import type { Duplex } from "node:stream";
import { freeRead } from "@sallyport/dataplane";
import {
  DEFAULT_MAX_FRAME_BYTES,
  FLAG,
  FRAME,
  Http2Error,
  headersFrames,
  MAX_31_BITS,
  NO_TABLE_TEXT,
} from "@sallyport/dataplane/http2";

/** Who has content for the client that has to wait. */
export interface WaitingSender {
  /** There is room again. */
  proceed(): void;
}

/** The window of a connection before anybody says otherwise, and of a stream. */
export const FIRST_WINDOW_BYTES = 65_535;

/** Memory of larger writes is given back as soon as they are done, as that of reads is. */
const MIN_FREED_BYTES = 16_384;

let unwritten: Outflow[] = [];

/** As `writeSoon` does, and for the same reason: at the end of a turn, those of all connections in a row. */
function writeAll(): void {
  const all = unwritten;
  unwritten = [];
  for (const one of all) one.flush();
}

export class Outflow {
  readonly #socket: Duplex;
  /** Behind the pieces; text goes out as it is said, each character an octet. */
  #text = "";
  #pieces: (string | Buffer)[] = [];
  #bytes = 0;
  #done: Buffer[] = [];
  #isScheduled = false;
  #window = FIRST_WINDOW_BYTES;
  #owesNoTable = false;
  readonly #waiting = new Set<WaitingSender>();

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Bytes of content that the client takes on all of its streams. */
  get window(): number {
    return this.#window;
  }

  /** Bytes that have not gone to the kernel. */
  get unsentBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** Whether content may follow now: a client that does not read leaves it with the app. */
  get hasRoom(): boolean {
    return this.unsentBytes < this.#socket.writableHighWaterMark;
  }

  /** Frames, as text. */
  text(text: string): void {
    this.#text += text;
    this.#bytes += text.length;
    if (!this.#isScheduled) this.#schedule();
  }

  /** Frames, or a part of one. Nobody may write to the bytes any more. `done`: memory that nobody needs once they are written. */
  bytes(bytes: Buffer, done?: Buffer): void {
    if (done !== undefined) this.#done.push(done);
    if (this.#text !== "") {
      this.#pieces.push(this.#text);
      this.#text = "";
    }
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    if (!this.#isScheduled) this.#schedule();
  }

  /** A header block, as text. */
  headers(streamId: number, fields: string, endStream: boolean): void {
    const block = this.#owesNoTable ? NO_TABLE_TEXT + fields : fields;
    this.#owesNoTable = false;
    if (block.length > DEFAULT_MAX_FRAME_BYTES) {
      this.bytes(headersFrames(streamId, Buffer.from(block, "latin1"), endStream, DEFAULT_MAX_FRAME_BYTES));
      return;
    }
    const flags = endStream ? FLAG.endHeaders | FLAG.endStream : FLAG.endHeaders;
    this.text(frameHead(block.length, FRAME.headers, flags, streamId) + block);
  }

  /** The head of DATA, whose content has to follow. Takes its length off the window. */
  dataHead(streamId: number, length: number, endStream: boolean): void {
    this.#window -= length;
    this.text(frameHead(length, FRAME.data, endStream ? FLAG.endStream : 0, streamId));
  }

  /** The client's table may have become smaller than the one that it had: the next block says that it has none (RFC 7541, 4.2). */
  useNoTable(): void {
    this.#owesNoTable = true;
  }

  /** The client takes so many bytes more. */
  addWindow(increment: number): void {
    this.#window += increment;
    if (this.#window > MAX_31_BITS) throw new Http2Error("FLOW_CONTROL_ERROR", "the connection's window is too large");
    this.release();
  }

  /** Calls the sender, once, when there is room. Those who wait take turns. */
  wait(sender: WaitingSender): void {
    this.#waiting.add(sender);
  }

  forget(sender: WaitingSender): void {
    this.#waiting.delete(sender);
  }

  /** To be called when the socket has drained. */
  release(): void {
    for (const sender of this.#waiting) {
      if (this.#window <= 0 || !this.hasRoom) return;
      this.#waiting.delete(sender);
      sender.proceed(); // may wait again, behind the others
    }
  }

  /** Writes what has come together. */
  flush(): void {
    this.#isScheduled = false;
    const length = this.#bytes;
    if (length === 0) return;
    const pieces = this.#pieces;
    const text = this.#text;
    this.#pieces = [];
    this.#text = "";
    this.#bytes = 0;
    const done = this.#done;
    if (done.length > 0) this.#done = [];
    if (!this.#socket.writable) return;
    // TLS copies what comes in pieces into one, too.
    const isLarge = length >= MIN_FREED_BYTES;
    const all = isLarge ? Buffer.allocUnsafeSlow(length) : Buffer.allocUnsafe(length);
    let at = 0;
    for (const piece of pieces) {
      if (typeof piece === "string") at += all.write(piece, at, "latin1");
      else {
        all.set(piece, at);
        at += piece.length;
      }
    }
    if (text !== "") all.write(text, at, "latin1");
    for (const one of done) freeRead(one);
    if (isLarge) this.#socket.write(all, () => freeRead(all));
    else this.#socket.write(all);
    if (this.#waiting.size > 0) this.release();
  }

  #schedule(): void {
    this.#isScheduled = true;
    if (unwritten.length === 0) setImmediate(writeAll);
    unwritten.push(this);
  }
}

function frameHead(length: number, type: number, flags: number, streamId: number): string {
  return String.fromCharCode(
    length >>> 16,
    (length >>> 8) & 0xff,
    length & 0xff,
    type,
    flags,
    streamId >>> 24,
    (streamId >>> 16) & 0xff,
    (streamId >>> 8) & 0xff,
    streamId & 0xff,
  );
}
