// What `sallyport-denials` writes, read as if it were hostile: it was made from a tenant's packets. Pure.

import { formatAddress } from "@sallyport/policy";
import { type DeniedPacket, isDenialPrefix } from "./denial-words.ts";

/** Bytes of a record. */
export const RECORD_BYTES = 80;

const VERSION = 1;
const HAS_PORT = 1;
const LINK = /^slot(0|[1-9][0-9]{0,4})$/;

export interface DenialRecord extends DeniedPacket {
  readonly slot: number;
}

/** Undefined for a record of another version, of no slot, or by no rule that we know. */
export function readDenial(bytes: Buffer): DenialRecord | undefined {
  const [version, family, protocol, flags] = [0, 1, 2, 3].map((at) => bytes.readUInt8(at));
  const link = LINK.exec(textAt(bytes, 8, 16));
  const prefix = textAt(bytes, 24, 24);
  if (version !== VERSION || link === null || !isDenialPrefix(prefix)) return undefined;
  if (family !== 4 && family !== 6) return undefined;
  const length = family === 4 ? 4 : 16;
  const value = BigInt(`0x${bytes.toString("hex", 64, 64 + length)}`);
  return {
    slot: Number(link[1]),
    prefix,
    destination: formatAddress({ family, value }),
    protocol: protocol ?? 0,
    port: ((flags ?? 0) & HAS_PORT) === 0 ? undefined : bytes.readUInt16BE(4),
  };
}

function textAt(bytes: Buffer, at: number, length: number): string {
  const text = bytes.toString("latin1", at, at + length);
  const end = text.indexOf("\0");
  return end === -1 ? text : text.slice(0, end);
}
