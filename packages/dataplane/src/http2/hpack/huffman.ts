// Reads Huffman-coded strings (RFC 7541, section 5.2), four bits at a time.
import { END_OF_STRING, HUFFMAN_CODES } from "./huffman-codes.ts";

const MAX_PADDING_BITS = 7;

/**
 * Where four bits lead to from a state: the next state, the byte that they complete, if any, and whether the string may end
 * there. A state is an inner node of the code's tree; state 0 is the root.
 */
const NEXT_STATE_BITS = 9;
const HAS_BYTE = 1 << NEXT_STATE_BITS;
const MAY_END = 1 << (NEXT_STATE_BITS + 1);
const FAILS = 1 << (NEXT_STATE_BITS + 2);
const BYTE_SHIFT = NEXT_STATE_BITS + 3;
const STATE_MASK = HAS_BYTE - 1;
const STEPS: Uint32Array = steps();

interface Node {
  /** An inner node's number, or a leaf's symbol. */
  readonly zero: Child;
  readonly one: Child;
}
type Child = { readonly state: number } | { readonly symbol: number } | undefined;

function tree(): readonly { zero: Child; one: Child }[] {
  const nodes: { zero: Child; one: Child }[] = [{ zero: undefined, one: undefined }];
  for (const [symbol, { code, bits }] of HUFFMAN_CODES.entries()) {
    let node = nodes[0];
    for (let bit = bits - 1; bit >= 0 && node !== undefined; bit -= 1) {
      const side = ((code >>> bit) & 1) === 0 ? "zero" : "one";
      if (bit === 0) {
        node[side] = { symbol };
        break;
      }
      let child: Child = node[side];
      if (child === undefined) {
        child = { state: nodes.length };
        node[side] = child;
        nodes.push({ zero: undefined, one: undefined });
      }
      node = "state" in child ? nodes[child.state] : undefined;
    }
  }
  return nodes;
}

function steps(): Uint32Array {
  const nodes: readonly Node[] = tree();
  const ends = endStates(nodes);
  const table = new Uint32Array(nodes.length * 16);
  for (let state = 0; state < nodes.length; state += 1) {
    for (let four = 0; four < 16; four += 1) table[state * 16 + four] = step(nodes, ends, state, four);
  }
  return table;
}

function step(nodes: readonly Node[], ends: ReadonlySet<number>, from: number, four: number): number {
  let state = from;
  let found = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const node = nodes[state];
    const child = ((four >>> bit) & 1) === 0 ? node?.zero : node?.one;
    if (child === undefined) return FAILS;
    if ("state" in child) {
      state = child.state;
      continue;
    }
    // The end of the string must not be written out (section 5.2).
    if (child.symbol === END_OF_STRING) return FAILS;
    found = HAS_BYTE | (child.symbol << BYTE_SHIFT);
    state = 0;
  }
  return state | found | (ends.has(state) ? MAY_END : 0);
}

/** Those that fewer than eight ones lead to: padding is the beginning of the code for the end of the string. */
function endStates(nodes: readonly Node[]): ReadonlySet<number> {
  const ends = new Set([0]);
  let state = 0;
  for (let bit = 0; bit < MAX_PADDING_BITS; bit += 1) {
    const child = nodes[state]?.one;
    if (child === undefined || !("state" in child)) break;
    state = child.state;
    ends.add(state);
  }
  return ends;
}

/** The shortest code has five bits. */
export function maxDecodedBytes(encodedBytes: number): number {
  return Math.floor((encodedBytes * 8) / 5);
}

/** Decodes `from` to `end` into a buffer that has room for {@link maxDecodedBytes}; how many bytes, or -1: it is no such code. */
export function decodeHuffman(bytes: Buffer, from: number, end: number, into: Buffer): number {
  let length = 0;
  let state = 0;
  let last = MAY_END;
  for (let at = from; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    const high = STEPS[state * 16 + (byte >>> 4)] ?? FAILS;
    if ((high & FAILS) !== 0) return -1;
    if ((high & HAS_BYTE) !== 0) {
      into[length] = high >>> BYTE_SHIFT;
      length += 1;
    }
    last = STEPS[(high & STATE_MASK) * 16 + (byte & 15)] ?? FAILS;
    if ((last & FAILS) !== 0) return -1;
    if ((last & HAS_BYTE) !== 0) {
      into[length] = last >>> BYTE_SHIFT;
      length += 1;
    }
    state = last & STATE_MASK;
  }
  return (last & MAY_END) === 0 ? -1 : length;
}
