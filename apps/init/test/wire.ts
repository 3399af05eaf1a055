// The protocol's bytes as the tests speak them: written from README.md, not from the C sources.

export const HELLO = 0x01;
export const START = 0x02;
const RESUME = 0x03;
export const ACK = 0x04;
export const INPUT = 0x05;
const INPUT_END = 0x06;
const SIGNAL = 0x07;
const RESIZE = 0x08;
const FORGET = 0x09;
export const PING = 0x0a;
export const WELCOME = 0x81;
export const PROCESS = 0x82;
export const STARTED = 0x83;
export const START_FAILED = 0x84;
export const OUTPUT = 0x85;
export const OUTPUT_END = 0x86;
export const EXIT = 0x87;
export const INPUT_ACCEPTED = 0x88;
export const PONG = 0x89;

export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}

export function frame(type: number, ...parts: readonly Buffer[]): Buffer {
  const payload = Buffer.concat(parts);
  return Buffer.concat([u32(payload.length), u8(type), payload]);
}

export function hello(secret: Buffer): Buffer {
  return frame(HELLO, Buffer.from("SLYP"), u8(1), secret);
}

export interface StartOptions {
  readonly id: string;
  readonly argv: readonly string[];
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly stdin?: boolean;
  readonly pty?: { readonly columns: number; readonly rows: number };
}

export function start(options: StartOptions): Buffer {
  const { id, argv, env = [], cwd = "", stdin = false, pty } = options;
  const flags = (pty === undefined ? 0 : 1) | (stdin ? 2 : 0);
  return frame(
    START,
    u8(id.length),
    Buffer.from(id),
    u8(flags),
    u16(pty?.columns ?? 0),
    u16(pty?.rows ?? 0),
    text(cwd),
    u16(argv.length),
    ...argv.map(text),
    u16(env.length),
    ...env.map(text),
  );
}

export function resume(handle: number, fd: number, offset: number): Buffer {
  return frame(RESUME, u32(handle), u8(fd), u64(offset));
}

export function ack(handle: number, fd: number, offset: number): Buffer {
  return frame(ACK, u32(handle), u8(fd), u64(offset));
}

export function input(handle: number, offset: number, bytes: string | Buffer): Buffer {
  return frame(INPUT, u32(handle), u64(offset), Buffer.from(bytes));
}

export function inputEnd(handle: number, offset: number): Buffer {
  return frame(INPUT_END, u32(handle), u64(offset));
}

export function signal(handle: number, number: number): Buffer {
  return frame(SIGNAL, u32(handle), u8(number));
}

export function resize(handle: number, columns: number, rows: number): Buffer {
  return frame(RESIZE, u32(handle), u16(columns), u16(rows));
}

export function forget(handle: number): Buffer {
  return frame(FORGET, u32(handle));
}

export function ping(nonce: number): Buffer {
  return frame(PING, u64(nonce));
}

/** PROCESS, read. */
export interface ProcessRecord {
  readonly handle: number;
  readonly id: string;
  readonly flags: number;
  readonly stdout: readonly [start: number, end: number];
  readonly stderr: readonly [start: number, end: number];
  readonly stdinAccepted: number;
}

export function readProcess(payload: Buffer): ProcessRecord {
  const idLength = payload.readUInt8(4);
  const at = 5 + idLength;
  const number = (index: number) => Number(payload.readBigUInt64BE(at + 1 + index * 8));
  return {
    handle: payload.readUInt32BE(0),
    id: payload.toString("latin1", 5, at),
    flags: payload.readUInt8(at),
    stdout: [number(0), number(1)],
    stderr: [number(2), number(3)],
    stdinAccepted: number(4),
  };
}

export interface Output {
  readonly handle: number;
  readonly fd: number;
  readonly offset: number;
  /** Empty: OUTPUT_END. */
  readonly bytes: Buffer;
}

export function readOutput(payload: Buffer): Output {
  return {
    handle: payload.readUInt32BE(0),
    fd: payload.readUInt8(4),
    offset: Number(payload.readBigUInt64BE(5)),
    bytes: payload.subarray(13),
  };
}
