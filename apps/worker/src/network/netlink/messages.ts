// Netlink messages as bytes, written and read. Pure. Heads are in the machine's byte order, which is little-endian on
// every processor that Node runs on with Linux; what attributes hold is netfilter's and big-endian, with named exceptions.

/** Bytes of `struct nlmsghdr`, and of the `struct nfgenmsg` behind it. */
const HEAD_BYTES = 16;
const FAMILY_BYTES = 4;
const ATTRIBUTE_HEAD_BYTES = 4;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
/** An attribute's length has 16 bits, its head included. */
const MAX_ATTRIBUTE_BYTES = 0xffff;

const REQUEST = 0x001;
export const ACKNOWLEDGE = 0x004;
export const DUMP = 0x300;
export const CREATE = 0x400;

const ERROR = 2;
const DONE = 3;
/** Flag of an error message: attributes that explain it follow. */
const EXPLAINED = 0x200;
const EXPLANATION = 1;

/** An attribute with its head, padded. */
export type Attribute = Buffer;

export function attribute(type: number, payload: Buffer): Attribute {
  const length = ATTRIBUTE_HEAD_BYTES + payload.length;
  if (length > MAX_ATTRIBUTE_BYTES) throw new RangeError(`an attribute of ${length} bytes is too long`);
  const bytes = Buffer.alloc(padded(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  payload.copy(bytes, ATTRIBUTE_HEAD_BYTES);
  return bytes;
}

export function nested(type: number, attributes: readonly Attribute[]): Attribute {
  return attribute(type | NESTED, Buffer.concat(attributes));
}

/** Ends with a NUL, as the kernel wants it. */
export function text(type: number, value: string): Attribute {
  return attribute(type, Buffer.from(`${value}\0`, "latin1"));
}

export function u8(type: number, value: number): Attribute {
  return attribute(type, Buffer.of(value));
}

export function u16(type: number, value: number): Attribute {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return attribute(type, bytes);
}

/** Negative numbers are written as two's complement. */
export function u32(type: number, value: number): Attribute {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return attribute(type, bytes);
}

export function u64(type: number, value: number): Attribute {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return attribute(type, bytes);
}

export interface MessageOptions {
  /** Subsystem and message, as netfilter puts them together. */
  readonly type: number;
  readonly flags: number;
  readonly family: number;
  /** Of `struct nfgenmsg`; 0 for all but batches. */
  readonly resource?: number;
  /** Of `struct nfgenmsg`; 0 in nf_tables, and in conntrack 1 where the family is to count. */
  readonly version?: number;
  /** Comes back with the answer. */
  readonly sequence: number;
  readonly attributes: readonly Attribute[];
}

export function message(options: MessageOptions): Buffer {
  const length = HEAD_BYTES + FAMILY_BYTES + options.attributes.reduce((sum, bytes) => sum + bytes.length, 0);
  const head = Buffer.alloc(HEAD_BYTES + FAMILY_BYTES);
  head.writeUInt32LE(length, 0);
  head.writeUInt16LE(options.type, 4);
  head.writeUInt16LE(options.flags | REQUEST, 6);
  head.writeUInt32LE(options.sequence, 8);
  head.writeUInt8(options.family, HEAD_BYTES);
  head.writeUInt8(options.version ?? 0, HEAD_BYTES + 1);
  head.writeUInt16BE(options.resource ?? 0, HEAD_BYTES + 2);
  return Buffer.concat([head, ...options.attributes]);
}

/** What the kernel said about one request. */
interface Reply {
  readonly sequence: number;
  readonly type: number;
  /** The attributes, without the heads. Empty for an acknowledgement. */
  readonly payload: Buffer;
}

/** Refusals in the kernel's own words, by the number that the request had. */
interface Refusal {
  readonly sequence: number;
  /** Positive. */
  readonly errno: number;
  readonly explanation: string | undefined;
}

export interface Answer {
  readonly acknowledged: ReadonlySet<number>;
  readonly refusals: readonly Refusal[];
  readonly replies: readonly Reply[];
}

/** Throws RangeError where the bytes are no messages. */
export function readAnswer(bytes: Buffer): Answer {
  const acknowledged = new Set<number>();
  const refusals: Refusal[] = [];
  const replies: Reply[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < HEAD_BYTES || at + length > bytes.length) throw new RangeError("a netlink message that is cut off");
    const [type, flags] = [bytes.readUInt16LE(at + 4), bytes.readUInt16LE(at + 6)];
    const sequence = bytes.readUInt32LE(at + 8);
    const body = bytes.subarray(at + HEAD_BYTES, at + length);
    if (type === ERROR || type === DONE) {
      const errno = body.length < 4 ? 0 : -body.readInt32LE(0);
      if (errno === 0) acknowledged.add(sequence);
      else refusals.push({ sequence, errno, explanation: explanationOf(type, flags, body) });
    } else {
      replies.push({ sequence, type, payload: body.subarray(FAMILY_BYTES) });
    }
    at += padded(length);
  }
  return { acknowledged, refusals, replies };
}

function explanationOf(type: number, flags: number, body: Buffer): string | undefined {
  if (type !== ERROR || (flags & EXPLAINED) === 0) return undefined;
  // The error number, and the head of the request: its body is left out, as the session asks for.
  const found = readAttributes(body.subarray(4 + HEAD_BYTES)).get(EXPLANATION);
  return found?.toString("latin1").replace(/\0$/, "");
}

/** Attributes by type; of several of one type the last. Throws RangeError where the bytes are none. */
export function readAttributes(bytes: Buffer): Map<number, Buffer> {
  return new Map(listAttributes(bytes).map(({ type, payload }) => [type, payload]));
}

export function listAttributes(bytes: Buffer): { readonly type: number; readonly payload: Buffer }[] {
  const found: { type: number; payload: Buffer }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEAD_BYTES || at + length > bytes.length)
      throw new RangeError("an attribute that is cut off");
    const type = bytes.readUInt16LE(at + 2) & TYPE_MASK;
    found.push({ type, payload: bytes.subarray(at + ATTRIBUTE_HEAD_BYTES, at + length) });
    at += padded(length);
  }
  return found;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
