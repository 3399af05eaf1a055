// An HTTP/2 client made of raw frames (RFC 9113) over TLS, for what no well-behaved client sends.
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";

/** Types of frames, section 6. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames. */
export const FLAG = { none: 0, endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

/** Error codes, section 7. */
export const ERROR = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

/** What a client begins with, section 3.4. */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const HEADER_BYTES = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export type Pairs = readonly (readonly [name: string, value: string])[];

/** One frame as bytes. */
export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block (RFC 7541): every field literal, without indexing and without Huffman codes. */
export function headerBlock(fields: Pairs): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0]),
      literal(Buffer.from(name, "latin1")),
      literal(Buffer.from(value, "latin1")),
    ]),
  );
}

/** A request's HEADERS in one frame. */
export function headersFrame(stream: number, fields: Pairs, endStream = true): Buffer {
  const flags = FLAG.endHeaders | (endStream ? FLAG.endStream : 0);
  return frame(FRAME.headers, flags, stream, headerBlock(fields));
}

/** A payload of one 32-bit number: an error code, a window's increment. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function literal(text: Buffer): Buffer {
  const prefix = [];
  let rest = text.length;
  if (rest < 127) prefix.push(rest);
  else {
    prefix.push(127);
    for (rest -= 127; rest >= 128; rest >>= 7) prefix.push((rest & 127) | 128);
    prefix.push(rest);
  }
  return Buffer.concat([Buffer.from(prefix), text]);
}

export interface PeerOptions {
  readonly port: number;
  readonly servername: string;
  readonly ca: string;
  /** Payload of its SETTINGS. Empty when unset. */
  readonly settings?: Buffer;
}

/** A connection on which the test says every frame itself; only the server's SETTINGS are acknowledged for it. */
export class RawH2Peer implements Disposable {
  readonly socket: TLSSocket;
  /** All that came so far. */
  readonly frames: Frame[] = [];
  #received = Buffer.alloc(0);
  #closed = false;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => this.#end()); // a server that is done with us may reset
    socket.on("close", () => this.#end());
  }

  static async connect(options: PeerOptions): Promise<RawH2Peer> {
    const peer = await RawH2Peer.silent(options);
    peer.send(PREFACE, frame(FRAME.settings, FLAG.none, 0, options.settings));
    return peer;
  }

  /** One that has said nothing yet, its preface neither. */
  static async silent({ port, servername, ca }: PeerOptions): Promise<RawH2Peer> {
    const socket = connect({ host: "127.0.0.1", port, servername, ca, ALPNProtocols: ["h2"] });
    await once(socket, "secureConnect");
    return new RawH2Peer(socket);
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.#closed) this.socket.write(Buffer.concat(frames));
  }

  /** The first frame for which this holds, of those that came and those that come. Rejects when the connection ends first. */
  async next(wanted: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(wanted);
      if (found !== undefined) return found;
      if (this.#closed) throw new Error("the connection ended first");
      await this.#change();
    }
  }

  /** Resolves when the connection has ended. */
  async ended(): Promise<void> {
    while (!this.#closed) await this.#change();
  }

  /**
   * How a stream ended: the status of its answer (undefined: none came), its body, and the code of a RST_STREAM
   * (undefined: ended well). The connection's end counts as the end of it.
   */
  async answer(stream: number): Promise<{ status: number | undefined; body: string; reset: number | undefined }> {
    const over = ({ type, flags, stream: id }: Frame) =>
      id === stream &&
      (type === FRAME.rstStream || ((type === FRAME.data || type === FRAME.headers) && (flags & 1) === 1));
    while (!this.#closed && !this.frames.some(over)) await this.#change();
    const mine = this.frames.filter(({ stream: id }) => id === stream);
    const statuses = mine.filter(({ type }) => type === FRAME.headers).map(({ payload }) => statusOf(payload));
    const body = Buffer.concat(mine.filter(({ type }) => type === FRAME.data).map(({ payload }) => payload));
    const reset = mine.find(({ type }) => type === FRAME.rstStream)?.payload.readUInt32BE();
    return { status: statuses.find((status) => status !== undefined && status >= 200), body: body.toString(), reset };
  }

  /** The code of the GOAWAY that ends the connection. */
  async goaway(): Promise<number> {
    const { payload } = await this.next(({ type }) => type === FRAME.goaway);
    return payload.readUInt32BE(4);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= HEADER_BYTES) {
      const length = HEADER_BYTES + this.#received.readUIntBE(0, 3);
      if (this.#received.length < length) break;
      const [type = 0, flags = 0] = this.#received.subarray(3, 5);
      const stream = this.#received.readUInt32BE(5);
      this.frames.push({ type, flags, stream, payload: this.#received.subarray(HEADER_BYTES, length) });
      this.#received = this.#received.subarray(length);
      if (type === FRAME.settings && flags === 0) this.send(frame(FRAME.settings, FLAG.ack, 0));
    }
    this.#wake();
  }

  #end(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}

/** Of the static table of RFC 7541, from index 8 on. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500] as const;
/** Huffman codes of digits (RFC 7541, appendix B) as bits. */
const DIGITS = ["00000", "00001", "00010", "011001", "011010", "011011", "011100", "011101", "011110", "011111"];

/** The status, which comes first in a header block: from the static table, or as a literal; undefined in trailers. */
function statusOf(block: Buffer): number | undefined {
  const [first = 0, second = 0] = block;
  if ((first & 0x80) !== 0) return STATUSES[(first & 0x7f) - 8];
  // Literal with the name of one of the entries for :status, with indexing (01), without (0000) or never (0001).
  const name = first & ((first & 0xc0) === 0x40 ? 0x3f : 0x0f);
  if (name < 8 || name > 14) return undefined;
  const value = block.subarray(2, 2 + (second & 0x7f));
  if ((second & 0x80) === 0) return Number(value.toString("latin1"));
  let bits = Array.from(value, (byte) => byte.toString(2).padStart(8, "0")).join("");
  let digits = "";
  while (digits.length < 3) {
    const digit = DIGITS.findIndex((code) => bits.startsWith(code));
    if (digit === -1) return undefined;
    digits += digit;
    bits = bits.slice(DIGITS[digit]?.length);
  }
  return Number(digits);
}
