// Sets of addresses of one family as sorted, disjoint ranges: union, difference, and the way back to CIDRs.

import { bitsOf, type Family } from "./address.ts";
import { type Cidr, formatCidr, lastAddress, parseCidr } from "./cidr.ts";

export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export function rangeOf(cidr: Cidr): Range {
  return { first: cidr.first, last: lastAddress(cidr) };
}

/** The union of the CIDRs of one family: sorted, disjoint, adjacent ranges joined. */
export function rangesOf(family: Family, cidrs: readonly Cidr[]): Range[] {
  const sorted = cidrs
    .filter((cidr) => cidr.family === family)
    .map(rangeOf)
    .sort((left, right) => (left.first < right.first ? -1 : left.first > right.first ? 1 : 0));
  const union: { first: bigint; last: bigint }[] = [];
  for (const range of sorted) {
    const before = union.at(-1);
    if (before !== undefined && range.first <= before.last + 1n) {
      if (range.last > before.last) before.last = range.last;
    } else {
      union.push({ ...range });
    }
  }
  return union;
}

/** What of `from` is not in `minus`. Both sorted and disjoint, and so is the answer. */
export function subtractRanges(from: readonly Range[], minus: readonly Range[]): Range[] {
  return from.flatMap((range) => {
    const rest: Range[] = [];
    let first = range.first;
    for (const hole of minus) {
      if (hole.last < first || hole.first > range.last) continue;
      if (hole.first > first) rest.push({ first, last: hole.first - 1n });
      first = hole.last + 1n;
    }
    if (first <= range.last) rest.push({ first, last: range.last });
    return rest;
  });
}

/** What of `left` is in `right`. Both sorted and disjoint, and so is the answer. */
export function intersectRanges(left: readonly Range[], right: readonly Range[]): Range[] {
  return subtractRanges(left, subtractRanges(left, right));
}

/** The fewest CIDRs that cover exactly these ranges, in order. */
export function cidrsOf(family: Family, ranges: readonly Range[]): Cidr[] {
  const bits = bitsOf(family);
  return ranges.flatMap((range) => {
    const cidrs: Cidr[] = [];
    let first = range.first;
    while (first <= range.last) {
      let size = 0;
      while (size < bits && (first >> BigInt(size)) % 2n === 0n && first + (2n << BigInt(size)) - 1n <= range.last)
        size++;
      cidrs.push({ family, first, prefix: bits - size });
      first += 1n << BigInt(size);
    }
    return cidrs;
  });
}

/** CIDR texts of both families as the fewest disjoint canonical ones, by family. Throws PolicyError for bad text. */
export function mergeCidrs(texts: readonly string[]): { v4: string[]; v6: string[] } {
  const cidrs = texts.map((text) => parseCidr(text));
  return {
    v4: cidrsOf(4, rangesOf(4, cidrs)).map(formatCidr),
    v6: cidrsOf(6, rangesOf(6, cidrs)).map(formatCidr),
  };
}
