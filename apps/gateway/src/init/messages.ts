// The messages within the frames: what init says as typed values, what we say as bytes. Shapes are checked here;
// whether a message makes sense at its time is checked by processes.ts.
import { EXEC_ID_PATTERN } from "@sallyport/contracts";
import { InitProtocolError } from "./errors.ts";
import { encodeFrame, FROM_INIT, MAX_START_BYTES, TO_INIT } from "./frames.ts";

const PROTOCOL_VERSION = 1;
const MAGIC = Buffer.from("SLYP");
/** Bytes that init holds for each output until they are acknowledged. */
const MAX_RING_BYTES = 256 * 1024;
const MAX_PROCESS_RECORDS = 512;

/** 1 is stdout (everything, with a terminal), 2 is stderr. */
export type OutputFd = 1 | 2;

/** A process as init knows it. */
export interface ProcessMessage {
  readonly type: "process";
  readonly handle: number;
  readonly execId: string;
  readonly exited: boolean;
  readonly stdinOpen: boolean;
  /** For each output: the lowest byte still held, and the bytes produced so far. */
  readonly stdout: { readonly start: number; readonly end: number };
  readonly stderr: { readonly start: number; readonly end: number };
  readonly stdinAccepted: number;
}

/** How a process ended, as init saw it. */
export interface ExitStatus {
  readonly kind: "exited" | "signalled";
  /** Exit status or signal number. */
  readonly value: number;
}

export type InitMessage =
  | { readonly type: "welcome"; readonly ringBytes: number; readonly maxProcesses: number; readonly records: number }
  | ProcessMessage
  | { readonly type: "started"; readonly execId: string; readonly handle: number; readonly pid: number }
  | { readonly type: "startFailed"; readonly execId: string; readonly stage: StartStage; readonly errno: number }
  | {
      readonly type: "output";
      readonly handle: number;
      readonly fd: OutputFd;
      readonly offset: number;
      readonly data: Buffer;
    }
  | { readonly type: "outputEnd"; readonly handle: number; readonly fd: OutputFd; readonly offset: number }
  | { readonly type: "exit"; readonly handle: number; readonly status: ExitStatus }
  | { readonly type: "inputAccepted"; readonly handle: number; readonly offset: number; readonly closed: boolean }
  | { readonly type: "pong"; readonly nonce: bigint };

/** Where a start failed. */
export type StartStage = "limit" | "pipe" | "fork" | "cwd" | "exec";
const STAGES: ReadonlyMap<number, StartStage> = new Map([
  [1, "limit"],
  [2, "pipe"],
  [3, "fork"],
  [4, "cwd"],
  [5, "exec"],
]);

/** Reads one frame of init. Throws {@link InitProtocolError}. */
export function decodeMessage(type: number, payload: Buffer): InitMessage {
  const reader = new PayloadReader(payload);
  const message = decodeBody(type, reader);
  reader.end();
  return message;
}

function decodeBody(type: number, reader: PayloadReader): InitMessage {
  switch (type) {
    case FROM_INIT.welcome: {
      const version = reader.u8();
      if (version !== PROTOCOL_VERSION) throw new InitProtocolError(`protocol version ${version}`);
      const [ringBytes, maxProcesses, records] = [reader.u32(), reader.u16(), reader.u16()];
      if (ringBytes < 1 || ringBytes > MAX_RING_BYTES) throw new InitProtocolError(`a ring of ${ringBytes} bytes`);
      if (records > MAX_PROCESS_RECORDS) throw new InitProtocolError(`${records} process records`);
      return { type: "welcome", ringBytes, maxProcesses, records };
    }
    case FROM_INIT.process: {
      const handle = reader.u32();
      const execId = reader.execId();
      const flags = reader.u8();
      if (flags > 7) throw new InitProtocolError(`process flags ${flags}`);
      const [stdout, stderr] = [reader.range(), reader.range()];
      const stdinAccepted = reader.u64();
      const [exited, stdinOpen] = [(flags & 2) !== 0, (flags & 4) !== 0];
      return { type: "process", handle, execId, exited, stdinOpen, stdout, stderr, stdinAccepted };
    }
    case FROM_INIT.started:
      return { type: "started", execId: reader.execId(), handle: reader.u32(), pid: reader.u32() };
    case FROM_INIT.startFailed: {
      const execId = reader.execId();
      const stage = STAGES.get(reader.u8());
      if (stage === undefined) throw new InitProtocolError("an unknown stage of a failed start");
      return { type: "startFailed", execId, stage, errno: reader.u32() };
    }
    case FROM_INIT.output:
      return { type: "output", handle: reader.u32(), fd: reader.fd(), offset: reader.u64(), data: reader.rest() };
    case FROM_INIT.outputEnd:
      return { type: "outputEnd", handle: reader.u32(), fd: reader.fd(), offset: reader.u64() };
    case FROM_INIT.exit: {
      const handle = reader.u32();
      const kind = reader.flag() ? "signalled" : "exited";
      const value = reader.u8();
      if (kind === "signalled" && (value < 1 || value > 64)) throw new InitProtocolError(`an end by signal ${value}`);
      return { type: "exit", handle, status: { kind, value } };
    }
    case FROM_INIT.inputAccepted:
      return { type: "inputAccepted", handle: reader.u32(), offset: reader.u64(), closed: reader.flag() };
    case FROM_INIT.pong:
      return { type: "pong", nonce: reader.nonce() };
    default:
      throw new InitProtocolError(`unknown frame type ${type}`);
  }
}

/** What START says. */
export interface StartCommand {
  readonly execId: string;
  readonly argv: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly workdir: string;
  readonly stdin: boolean;
  readonly pty: { readonly columns: number; readonly rows: number } | undefined;
}

export function encodeHello(secret: Uint8Array): Buffer {
  return encodeFrame(TO_INIT.hello, [MAGIC, Uint8Array.of(PROTOCOL_VERSION), secret]);
}

/** Throws RangeError when the command is larger than a frame: its bounds are checked where it comes in. */
export function encodeStart(command: StartCommand): Buffer {
  const flags = (command.pty === undefined ? 0 : 1) | (command.stdin ? 2 : 0);
  const frame = encodeFrame(TO_INIT.start, [
    text8(command.execId),
    Uint8Array.of(flags),
    u16(command.pty?.columns ?? 0),
    u16(command.pty?.rows ?? 0),
    text32(command.workdir),
    u16(command.argv.length),
    ...command.argv.map(text32),
    u16(command.env.length),
    ...command.env.map(text32),
  ]);
  if (frame.length > MAX_START_BYTES) throw new RangeError("the command is too large");
  return frame;
}

export function encodeResume(handle: number, fd: OutputFd, offset: number): Buffer {
  return encodeFrame(TO_INIT.resume, [u32(handle), Uint8Array.of(fd), u64(offset)]);
}

export function encodeAck(handle: number, fd: OutputFd, offset: number): Buffer {
  return encodeFrame(TO_INIT.ack, [u32(handle), Uint8Array.of(fd), u64(offset)]);
}

export function encodeInput(handle: number, offset: number, data: Uint8Array): Buffer {
  return encodeFrame(TO_INIT.input, [u32(handle), u64(offset), data]);
}

export function encodeInputEnd(handle: number, offset: number): Buffer {
  return encodeFrame(TO_INIT.inputEnd, [u32(handle), u64(offset)]);
}

export function encodeSignal(handle: number, signal: number): Buffer {
  return encodeFrame(TO_INIT.signal, [u32(handle), Uint8Array.of(signal)]);
}

export function encodeResize(handle: number, columns: number, rows: number): Buffer {
  return encodeFrame(TO_INIT.resize, [u32(handle), u16(columns), u16(rows)]);
}

export function encodeForget(handle: number): Buffer {
  return encodeFrame(TO_INIT.forget, [u32(handle)]);
}

export function encodePing(nonce: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(nonce);
  return encodeFrame(TO_INIT.ping, [bytes]);
}

/** Reads fields in order; every read beyond the payload is the peer's fault. */
class PayloadReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new InitProtocolError("a frame that ends within a field");
    this.#at = at + length;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** An offset: beyond 2^53 no honest process writes. */
  u64(): number {
    const at = this.#take(8);
    const value = this.#bytes.readUInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new InitProtocolError("an offset beyond 2^53");
    return value;
  }

  nonce(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw new InitProtocolError(`a flag of ${value}`);
    return value === 1;
  }

  fd(): OutputFd {
    const value = this.u8();
    if (value !== 1 && value !== 2) throw new InitProtocolError(`an output ${value}`);
    return value;
  }

  range(): { start: number; end: number } {
    const [start, end] = [this.u64(), this.u64()];
    if (start > end) throw new InitProtocolError("an output that starts after its end");
    return { start, end };
  }

  execId(): string {
    const length = this.u8();
    const at = this.#take(length);
    const id = this.#bytes.toString("latin1", at, at + length);
    if (!EXEC_ID_PATTERN.test(id)) throw new InitProtocolError("an exec id out of shape");
    return id;
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#take(this.#bytes.length - this.#at));
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new InitProtocolError("a frame with bytes after its last field");
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), 0);
  bytes.writeUInt32BE(value % 2 ** 32, 4);
  return bytes;
}

function text8(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

function text32(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u32(bytes.length), bytes]);
}
