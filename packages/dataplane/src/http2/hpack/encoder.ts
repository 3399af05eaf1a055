// Encodes header blocks without a dynamic table: a block means the same whatever was sent before it, and whatever was not.
import type { HeaderField } from "./field.ts";
import { fieldBytes } from "./field.ts";
import { STATIC_NAMES } from "./static-table.ts";

const WITHOUT_INDEXING = 0x00;
const NEVER_INDEXED = 0x10;
const INDEXED = 0x80;
const TABLE_SIZE = 0x20;

/**
 * Fields as a block. What is sensitive stays never indexed. `tableBytes`: begins with an update of the table's size, which is
 * owed to a decoder whose limit was lowered (RFC 7541, section 4.2); 0 says once and for all that no table is used.
 */
export function encodeHeaders(fields: readonly HeaderField[], tableBytes?: number): Buffer {
  let room = MAX_INTEGER_BYTES;
  // A field counts 32 bytes more than its strings: more than the integers before them.
  for (const field of fields) room += fieldBytes(field);
  const block = Buffer.allocUnsafe(room);
  let at = 0;
  if (tableBytes !== undefined) at = writeInteger(block, at, TABLE_SIZE, 5, tableBytes);
  for (const field of fields) at = writeField(block, at, field);
  return block.subarray(0, at);
}

const MAX_INTEGER_BYTES = 6;

function writeField(block: Buffer, from: number, { name, sensitive, value }: HeaderField): number {
  const known = STATIC_NAMES.get(name);
  const index = sensitive ? undefined : known?.values.get(value);
  if (index !== undefined) return writeInteger(block, from, INDEXED, 7, index);
  let at = writeInteger(block, from, sensitive ? NEVER_INDEXED : WITHOUT_INDEXING, 4, known?.index ?? 0);
  if (known === undefined) at = writeString(block, at, name);
  return writeString(block, at, value);
}

function writeString(block: Buffer, from: number, text: string): number {
  const at = writeInteger(block, from, 0, 7, text.length);
  return at + block.write(text, at, "latin1");
}

/** RFC 7541, section 5.1. `first`: the bits before the prefix. */
function writeInteger(block: Buffer, from: number, first: number, prefixBits: number, value: number): number {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    block[from] = first | value;
    return from + 1;
  }
  block[from] = first | mask;
  let at = from + 1;
  let rest = value - mask;
  while (rest >= 0x80) {
    block[at] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    at += 1;
  }
  block[at] = rest;
  return at + 1;
}
