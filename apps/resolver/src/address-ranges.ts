// Sets of addresses that are asked about for every record: merged and sorted once, then found by halving.

import {
  type Cidr,
  type Family,
  lastAddress,
  mergeCidrs,
  NEVER_REACHABLE,
  PRIVATE,
  parseCidr,
} from "@sallyport/policy";

interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export class AddressRanges {
  readonly #ranges: Readonly<Record<Family, readonly Range[]>>;

  /** CIDRs or addresses, as text that policy's parser takes; they may overlap. */
  constructor(texts: readonly string[]) {
    const { v4, v6 } = mergeCidrs(texts);
    this.#ranges = { 4: v4.map(rangeOf), 6: v6.map(rangeOf) };
  }

  has(family: Family, value: bigint): boolean {
    return this.#holds(family, value, value);
  }

  /** All of it. */
  contains(cidr: Cidr): boolean {
    return this.#holds(cidr.family, cidr.first, lastAddress(cidr));
  }

  /** Merged ranges are CIDRs as wide as can be, so what they hold lies in one of them. */
  #holds(family: Family, first: bigint, last: bigint): boolean {
    const ranges = this.#ranges[family];
    let [from, to] = [0, ranges.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((ranges[middle]?.first ?? 0n) <= first) from = middle + 1;
      else to = middle;
    }
    const found = ranges[from - 1];
    return found !== undefined && last <= found.last;
  }
}

/** What no sandbox reaches under the policy `open`, this machine's and the fleet's own addresses aside. */
export const RESERVED: AddressRanges = new AddressRanges([...NEVER_REACHABLE, ...PRIVATE].map((row) => row.cidr));

function rangeOf(text: string): Range {
  const cidr = parseCidr(text);
  return { first: cidr.first, last: lastAddress(cidr) };
}
