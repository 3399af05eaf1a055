// An encoder as peers have it: Huffman codes, a dynamic table, and a will of its own in how it says a field.
import type { HeaderField } from "../src/http2/hpack/field.ts";
import { fieldBytes } from "../src/http2/hpack/field.ts";
import { HUFFMAN_CODES } from "../src/http2/hpack/huffman-codes.ts";
import { STATIC_TABLE } from "../src/http2/hpack/static-table.ts";

/** How a field is to be said. */
export interface Manner {
  readonly huffman: boolean;
  readonly index: boolean;
  /** Says an entry of a table, or its name, where there is one. */
  readonly refer: boolean;
}

export class PeerEncoder {
  #table: HeaderField[] = [];
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get table(): readonly HeaderField[] {
    return this.#table;
  }

  resize(maxBytes: number): Buffer {
    this.#maxBytes = maxBytes;
    this.#evict();
    return integer(0x20, 5, maxBytes);
  }

  encode(field: HeaderField, manner: Manner): Buffer {
    const entries = [...STATIC_TABLE, ...this.#table];
    const same = entries.findIndex((entry) => entry?.name === field.name && entry.value === field.value);
    if (manner.refer && same > 0 && !field.sensitive) return integer(0x80, 7, same);
    const name = manner.refer ? entries.findIndex((entry) => entry?.name === field.name) : -1;
    const isIndexed = manner.index && !field.sensitive;
    const parts = [
      isIndexed ? integer(0x40, 6, Math.max(0, name)) : integer(field.sensitive ? 0x10 : 0, 4, Math.max(0, name)),
    ];
    if (name < 1) parts.push(string(field.name, manner.huffman));
    parts.push(string(field.value, manner.huffman));
    if (isIndexed) {
      this.#table.unshift(field);
      this.#evict();
    }
    return Buffer.concat(parts);
  }

  #evict(): void {
    while (this.#table.reduce((sum, one) => sum + fieldBytes(one), 0) > this.#maxBytes) this.#table.pop();
  }
}

export function integer(first: number, prefixBits: number, value: number): Buffer {
  const mask = 2 ** prefixBits - 1;
  if (value < mask) return Buffer.from([first | value]);
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export function string(text: string, isHuffman: boolean): Buffer {
  const bytes = isHuffman ? huffman(text) : Buffer.from(text, "latin1");
  return Buffer.concat([integer(isHuffman ? 0x80 : 0, 7, bytes.length), bytes]);
}

export function huffman(text: string): Buffer {
  const codes = [...Buffer.from(text, "latin1")].map((byte) => HUFFMAN_CODES[byte] ?? { code: 0, bits: 0 });
  const bits = codes.map(({ code, bits: length }) => code.toString(2).padStart(length, "0")).join("");
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Buffer.from((padded.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)));
}
