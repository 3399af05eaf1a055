// Record types that pass, and how their data is laid out: what is not in this table is never handed to a sandbox.

import { type Name, readName } from "./name.ts";
import { MessageError, TYPE } from "./wire.ts";

/** One record, its data without compression. */
export interface DnsRecord {
  readonly owner: Name;
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly data: Uint8Array;
}

/** So many bytes, a name, a string of at most 255 bytes, one or more of them, or whatever is left. */
type Field = number | "name" | "string" | "strings" | "rest";

/**
 * Left out on purpose: SVCB and HTTPS, whose hints carry addresses past the filter; records of DNSSEC, whose proofs do
 * not survive one; types that nobody here could read, since a later client may find addresses in them.
 */
const LAYOUTS: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [TYPE.A, [4]],
  [TYPE.NS, ["name"]],
  [TYPE.CNAME, ["name"]],
  [TYPE.SOA, ["name", "name", 20]],
  [TYPE.PTR, ["name"]],
  [TYPE.MX, [2, "name"]],
  [TYPE.TXT, ["strings"]],
  [TYPE.AAAA, [16]],
  [TYPE.SRV, [6, "name"]],
  [TYPE.NAPTR, [4, "string", "string", "string", "name"]],
  [TYPE.SSHFP, [2, "rest"]],
  [TYPE.TLSA, [3, "rest"]],
  [TYPE.CAA, [1, "string", "rest"]],
]);

export function isPassedType(type: number): boolean {
  return LAYOUTS.has(type);
}

/** The data of a record that passes, names in it uncompressed; undefined for a type that does not. Throws MessageError. */
export function readData(message: Uint8Array, type: number, start: number, end: number): Uint8Array | undefined {
  const layout = LAYOUTS.get(type);
  if (layout === undefined) return undefined;
  const parts: Uint8Array[] = [];
  let at = start;
  for (const field of layout) {
    const read = readField(message, field, at, end);
    if (read.end > end) throw new MessageError("data of a record runs over its end");
    parts.push(read.bytes);
    at = read.end;
  }
  if (at !== end) throw new MessageError("data of a record is longer than its type has it");
  return Buffer.concat(parts);
}

function readField(message: Uint8Array, field: Field, at: number, end: number): { bytes: Uint8Array; end: number } {
  if (field === "name") {
    const { name, end: after } = readName(message, at, true);
    return { bytes: name, end: after };
  }
  const length = fieldLength(message, field, at, end);
  return { bytes: message.subarray(at, at + length), end: at + length };
}

function fieldLength(message: Uint8Array, field: Exclude<Field, "name">, at: number, end: number): number {
  if (typeof field === "number") return field;
  if (field === "rest") return end - at;
  if (field === "string") return 1 + (message[at] ?? 0);
  let last = at + 1 + (message[at] ?? 0);
  while (last < end) last += 1 + (message[last] ?? 0);
  return last - at;
}
