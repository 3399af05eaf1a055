// Decodes header blocks (RFC 7541). One decoder is for one direction of one connection: its table follows the peer's.
import { Http2Error } from "../errors.ts";
import { DynamicTable } from "./dynamic-table.ts";
import type { HeaderField } from "./field.ts";
import { fieldBytes } from "./field.ts";
import { decodeHuffman, maxDecodedBytes } from "./huffman.ts";
import { FIRST_DYNAMIC_INDEX, STATIC_TABLE } from "./static-table.ts";

export interface DecoderLimits {
  /** SETTINGS_HEADER_TABLE_SIZE that the peer was told. */
  readonly maxTableBytes: number;
  /**
   * SETTINGS_MAX_HEADER_LIST_SIZE that the peer was told: of a longer list only the beginning is given, as of one that is made
   * of little more than the table, {@link MAX_TABLE_TURNS}.
   */
  readonly maxListBytes: number;
}

export interface HeaderList {
  readonly fields: readonly HeaderField[];
  /** The list was longer than it may be, and fields of it are missing. The table follows the peer's all the same. */
  readonly isTooLong: boolean;
  /** What all fields count for, the missing ones too (section 4.1). */
  readonly bytes: number;
}

/** Bytes behind an integer's first one: with more it is no length and no index that we would take. */
const MAX_INTEGER_BYTES = 4;
const SCRATCH_BYTES = 4_096;
/**
 * What a block takes out of the dynamic table is at most so many times what the table may hold. Each entry is worth saying
 * once; one that is said again and again makes much out of few bytes for whoever hands the list on.
 */
const MAX_TABLE_TURNS = 2;
/** Nothing is decoded while another block is: all decoders share it. */
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

export class HpackDecoder {
  readonly #limits: DecoderLimits;
  readonly #table: DynamicTable;
  #block: Buffer = scratch;
  #at = 0;
  /** Of the block: what its fields have out of the dynamic table. */
  #referencedBytes = 0;
  #revision = 0;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
    this.#table = new DynamicTable(limits.maxTableBytes);
  }

  /** Decodes a whole block. Throws `Http2Error`, COMPRESSION_ERROR: no later block can be decoded then. */
  decode(block: Buffer): HeaderList {
    this.#block = block;
    this.#at = 0;
    this.#referencedBytes = 0;
    const { maxListBytes, maxTableBytes } = this.#limits;
    const fields: HeaderField[] = [];
    let bytes = 0;
    let isTooLong = false;
    this.#takeTableSizes();
    while (this.#at < block.length) {
      const field = this.#field();
      bytes += fieldBytes(field);
      isTooLong ||= bytes > maxListBytes || this.#referencedBytes > MAX_TABLE_TURNS * maxTableBytes;
      if (!isTooLong) fields.push(field);
    }
    this.#block = scratch;
    return { fields, isTooLong, bytes };
  }

  /** Entries of the dynamic table, the newest first. */
  get entries(): readonly HeaderField[] {
    return Array.from({ length: this.#table.count }, (_, at) => this.#table.at(at)).filter((one) => one !== undefined);
  }

  /** Goes up whenever the table changes: the same block means the same as long as it does not. */
  get revision(): number {
    return this.#revision;
  }

  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** Updates of the table's size stand at the beginning of a block (section 4.2). */
  #takeTableSizes(): void {
    while (((this.#block[this.#at] ?? 0) & 0xe0) === 0x20) {
      const size = this.#integer(5);
      if (size > this.#limits.maxTableBytes) throw broken("the dynamic table is larger than it may be");
      this.#table.resize(size);
      this.#revision += 1;
    }
  }

  #field(): HeaderField {
    const first = this.#block[this.#at] ?? 0;
    if ((first & 0x80) !== 0) {
      const index = this.#integer(7);
      const field = this.#entry(index);
      if (index >= FIRST_DYNAMIC_INDEX) this.#referencedBytes += fieldBytes(field);
      return field;
    }
    if ((first & 0x40) !== 0) {
      const field = this.#literal(6, false);
      this.#table.add(field);
      this.#revision += 1;
      return field;
    }
    if ((first & 0x20) !== 0) throw broken("the dynamic table's size changes amid a block");
    return this.#literal(4, (first & 0x10) !== 0);
  }

  #literal(prefixBits: number, sensitive: boolean): HeaderField {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    if (index >= FIRST_DYNAMIC_INDEX) this.#referencedBytes += name.length;
    return { name, value: this.#string(), sensitive };
  }

  #entry(index: number): HeaderField {
    const field = index < FIRST_DYNAMIC_INDEX ? STATIC_TABLE[index] : this.#table.at(index - FIRST_DYNAMIC_INDEX);
    if (field === undefined) throw broken("an index is of no entry");
    return field;
  }

  /** Section 5.1. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let count = 0; count < MAX_INTEGER_BYTES; count += 1) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * count);
      if ((byte & 0x80) === 0) return value;
    }
    throw broken("an integer is too large");
  }

  /** Section 5.2. */
  #string(): string {
    const isHuffman = ((this.#block[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at;
    const end = from + length;
    if (end > this.#block.length) throw broken("a string is cut off");
    this.#at = end;
    if (!isHuffman) return this.#block.toString("latin1", from, end);
    const room = maxDecodedBytes(length);
    if (room > scratch.length) scratch = Buffer.allocUnsafeSlow(Math.max(room, 2 * scratch.length));
    const decoded = decodeHuffman(this.#block, from, end, scratch);
    if (decoded < 0) throw broken("a string is no Huffman code");
    return scratch.toString("latin1", 0, decoded);
  }

  #byte(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw broken("a header block is cut off");
    this.#at += 1;
    return byte;
  }
}

function broken(message: string): Http2Error {
  return new Http2Error("COMPRESSION_ERROR", message);
}
