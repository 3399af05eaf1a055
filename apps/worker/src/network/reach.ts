// What rule data lets through, as ranges in order: what the kernel's sets hold for a slot, and what is asked about an
// entry of the table of connections. Pure.

import {
  type Cidr,
  lastAddress,
  NEVER_REACHABLE,
  type NetworkRules,
  type PortRule,
  PRIVATE,
  parseAddress,
  parseCidr,
} from "@sallyport/policy";

export interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** Addresses of which one protocol, and one range of its ports, is let through. */
export interface Box extends AddressRange {
  /** As IP numbers it. */
  readonly protocol: number;
  readonly fromPort: number;
  readonly toPort: number;
}

/** Of one family: sorted, disjoint ranges that do not touch, and disjoint boxes outside of them. */
export interface FamilyReach {
  readonly whole: readonly AddressRange[];
  readonly boxes: readonly Box[];
}

export interface Reach {
  readonly 4: FamilyReach;
  readonly 6: FamilyReach;
}

const TCP = 6;
const UDP = 17;
const ICMP = { 4: 1, 6: 58 } as const;
const LAST_PORT = 0xffff;
const LAST_ADDRESS = { 4: 2n ** 32n - 1n, 6: 2n ** 128n - 1n } as const;

/** Rules that `checkRules` has passed. The machines' own addresses are not taken out: the table does that. */
export function reachOf(rules: NetworkRules): Reach {
  if (rules.mode === "open") return OPEN;
  if (rules.mode === "blocked") return NOTHING;
  return {
    4: { whole: joined(4, [...rules.allow4, ...rules.granted4]), boxes: boxesOf(4, rules.portRules) },
    6: { whole: joined(6, [...rules.allow6, ...rules.granted6]), boxes: boxesOf(6, rules.portRules) },
  };
}

/** Whether a packet may go there. `port` is that of the other side; it does not matter where the protocol has none. */
export function reaches(reach: FamilyReach, address: bigint, protocol: number, port: number): boolean {
  if (isWithin(reach.whole, address)) return true;
  return reach.boxes.some(
    (box) =>
      box.protocol === protocol &&
      (isIcmp(protocol) || (box.fromPort <= port && port <= box.toPort)) &&
      box.first <= address &&
      address <= box.last,
  );
}

/** Whether one of the ranges, which are in order and disjoint, holds the address. */
function isWithin(ranges: readonly AddressRange[], address: bigint): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle];
    if (range !== undefined && range.last < address) low = middle + 1;
    else high = middle;
  }
  const found = ranges[low];
  return found !== undefined && found.first <= address && address <= found.last;
}

/** Whether two hold the same, as far as ranges in order can tell. */
export function sameRanges(left: readonly AddressRange[], right: readonly AddressRange[]): boolean {
  return left.length === right.length && left.every((range, at) => sameRange(range, right[at]));
}

export function sameBoxes(left: readonly Box[], right: readonly Box[]): boolean {
  return (
    left.length === right.length &&
    left.every((box, at) => {
      const other = right[at];
      return (
        sameRange(box, other) &&
        box.protocol === other?.protocol &&
        box.fromPort === other.fromPort &&
        box.toPort === other.toPort
      );
    })
  );
}

function sameRange(left: AddressRange, right: AddressRange | undefined): boolean {
  return left.first === right?.first && left.last === right.last;
}

function isIcmp(protocol: number): boolean {
  return protocol === ICMP[4] || protocol === ICMP[6];
}

/** Sorted, and joined where they touch or overlap. */
export function joined(family: 4 | 6, cidrs: readonly string[]): AddressRange[] {
  const sorted = cidrs
    .map((text): Cidr => parseCidr(text, "rules"))
    .filter((cidr) => cidr.family === family)
    .map((cidr) => ({ first: cidr.first, last: lastAddress(cidr) }))
    .sort((left, right) => (left.first < right.first ? -1 : left.first > right.first ? 1 : 0));
  const ranges: { first: bigint; last: bigint }[] = [];
  for (const range of sorted) {
    const before = ranges.at(-1);
    if (before === undefined || range.first > before.last + 1n) ranges.push(range);
    else if (range.last > before.last) before.last = range.last;
  }
  return ranges;
}

/** All that is not in these ranges, which are in order. */
function complement(family: 4 | 6, ranges: readonly AddressRange[]): AddressRange[] {
  const rest: AddressRange[] = [];
  let first = 0n;
  for (const range of ranges) {
    if (range.first > first) rest.push({ first, last: range.first - 1n });
    first = range.last + 1n;
  }
  if (first <= LAST_ADDRESS[family]) rest.push({ first, last: LAST_ADDRESS[family] });
  return rest;
}

/** ICMP has no ports: where the kernel looks for one it finds other bytes, whatever they are. */
function boxesOf(family: 4 | 6, rules: readonly PortRule[]): Box[] {
  return rules
    .filter((rule) => rule.family === family)
    .map((rule) => ({
      first: parseAddress(rule.first)?.value ?? 0n,
      last: parseAddress(rule.last)?.value ?? 0n,
      protocol: rule.protocol === "icmp" ? ICMP[family] : rule.protocol === "tcp" ? TCP : UDP,
      fromPort: rule.protocol === "icmp" ? 0 : rule.fromPort,
      toPort: rule.protocol === "icmp" ? LAST_PORT : rule.toPort,
    }));
}

const RESERVED = [...NEVER_REACHABLE, ...PRIVATE].map((row) => row.cidr);

const OPEN: Reach = {
  4: { whole: complement(4, joined(4, RESERVED)), boxes: [] },
  6: { whole: complement(6, joined(6, RESERVED)), boxes: [] },
};
const NOTHING: Reach = { 4: { whole: [], boxes: [] }, 6: { whole: [], boxes: [] } };
