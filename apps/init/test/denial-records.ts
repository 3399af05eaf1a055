// Logged packets as the kernel writes them, and the records that the reader makes of them.

/** Bytes of a record. */
export const RECORD_BYTES = 80;
const PACKET_MESSAGE = 0x0400;
const LINK = 4;
const PAYLOAD = 9;
const PREFIX = 10;

export interface DenialRecord {
  readonly link: string;
  readonly word: string;
  readonly family: number;
  readonly protocol: number;
  readonly port: number | undefined;
  readonly type: number | undefined;
  readonly source: string;
  readonly destination: string;
}

export function attribute(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(4 + payload.length);
  head.writeUInt16LE(type, 2);
  return Buffer.concat([head, payload, Buffer.alloc(-payload.length & 3)]);
}

export function message(attributes: readonly Buffer[], type = PACKET_MESSAGE): Buffer {
  const body = Buffer.concat([Buffer.from([2, 0, 0, 15]), ...attributes]);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length);
  head.writeUInt16LE(type, 4);
  return Buffer.concat([head, body]);
}

/** A log of a packet that came in by the interface of this number. */
export function log(link: number, word: string, packet: Buffer): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(link);
  return message([attribute(LINK, number), attribute(PREFIX, Buffer.from(`${word}\0`)), attribute(PAYLOAD, packet)]);
}

/** Throws where the bytes are no whole records of the version that is known. */
export function recordsOf(bytes: Buffer): DenialRecord[] {
  if (bytes.length % RECORD_BYTES !== 0) throw new Error("the output ends within a record");
  const records: DenialRecord[] = [];
  for (let at = 0; at < bytes.length; at += RECORD_BYTES) records.push(recordOf(bytes.subarray(at, at + RECORD_BYTES)));
  return records;
}

function recordOf(bytes: Buffer): DenialRecord {
  if (bytes.readUInt8(0) !== 1 || bytes.readUInt8(7) !== 0) throw new Error("a record of another version");
  const family = bytes.readUInt8(1);
  const flags = bytes.readUInt8(3);
  const length = family === 4 ? 4 : 16;
  return {
    link: bytes.toString("latin1", 8, 24).replace(/\0+$/, ""),
    word: bytes.toString("latin1", 24, 48).replace(/\0+$/, ""),
    family,
    protocol: bytes.readUInt8(2),
    port: (flags & 1) === 0 ? undefined : bytes.readUInt16BE(4),
    type: (flags & 2) === 0 ? undefined : bytes.readUInt8(6),
    source: bytes.toString("hex", 48, 48 + length),
    destination: bytes.toString("hex", 64, 64 + length),
  };
}
