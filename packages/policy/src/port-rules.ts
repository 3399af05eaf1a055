// Rules about ports → disjoint boxes: a range of addresses, one protocol, a range of its ports. Kernel sets of intervals
// refuse overlaps, and nobody can review what is said twice.

import { type Family, formatAddress } from "./address.ts";
import type { Cidr } from "./cidr.ts";
import type { Only, Protocol } from "./entry.ts";
import { PolicyError } from "./errors.ts";
import { mergePorts, type PortRange } from "./ports.ts";
import { intersectRanges, type Range, rangeOf, subtractRanges } from "./ranges.ts";

/** Addresses of one family of which one protocol and one range of its ports is allowed. */
export interface PortRule {
  readonly family: Family;
  /** Lowest address, canonical, without prefix length. */
  readonly first: string;
  /** Highest address, included. */
  readonly last: string;
  readonly protocol: Protocol;
  /** 0 for ICMP, which has no ports; else 1 to 65,535. */
  readonly fromPort: number;
  /** Included. */
  readonly toPort: number;
  /** Whether it lies in private space that policy and operator both allow; otherwise it lies in public space. */
  readonly granted: boolean;
}

/** Most boxes that one policy may compile to. */
export const MAX_PORT_RULES = 1_024;

/** An entry that allows a part of a CIDR. */
export interface PartEntry {
  readonly cidr: Cidr;
  readonly only: Only;
}

/** Entries of one family, and where they count. */
export interface PortSpace {
  readonly family: Family;
  readonly entries: readonly PartEntry[];
  /** Sorted and disjoint; what is outside is left out. */
  readonly within: readonly Range[];
  readonly granted: boolean;
}

const PROTOCOLS: readonly Protocol[] = ["tcp", "udp", "icmp"];

interface Box {
  readonly first: bigint;
  last: bigint;
  readonly ports: PortRange;
}

/**
 * The rules of disjoint spaces, in their order; in each by protocol, then address, then port. The answer depends on
 * what is allowed, not on how it was written.
 *
 * @throws PolicyError naming `field` where they are more than `MAX_PORT_RULES`.
 */
export function portRulesOf(spaces: readonly PortSpace[], field: string): PortRule[] {
  const rules: PortRule[] = [];
  for (const space of spaces) {
    for (const protocol of PROTOCOLS) {
      const entries = space.entries.filter((entry) => entry.only.protocols.includes(protocol));
      for (const box of boxesOf(entries, space.within, MAX_PORT_RULES - rules.length, field)) {
        rules.push(ruleOf(box, protocol, space));
      }
    }
  }
  return rules;
}

function ruleOf({ first, last, ports }: Box, protocol: Protocol, { family, granted }: PortSpace): PortRule {
  return {
    family,
    first: formatAddress({ family, value: first }),
    last: formatAddress({ family, value: last }),
    protocol,
    fromPort: ports.first,
    toPort: ports.last,
    granted,
  };
}

/** Boxes of one protocol. Addresses that follow each other share the box of a port range that both allow. */
function boxesOf(entries: readonly PartEntry[], within: readonly Range[], room: number, field: string): Box[] {
  const boxes: Box[] = [];
  const latest = new Map<string, Box>();
  for (const { range, ports } of piecesOf(entries, within, room, field)) {
    for (const each of ports) {
      const key = `${each.first}-${each.last}`;
      const before = latest.get(key);
      if (before !== undefined && before.last + 1n === range.first) {
        before.last = range.last;
        continue;
      }
      if (boxes.length === room) throw tooMany(field);
      const box = { first: range.first, last: range.last, ports: each };
      boxes.push(box);
      latest.set(key, box);
    }
  }
  return boxes;
}

interface Piece {
  readonly range: Range;
  readonly ports: readonly PortRange[];
}

/** A CIDR, what it and its entries allow, and the CIDRs inside of it. */
interface Node {
  readonly whole: Range;
  readonly outer: Node | undefined;
  readonly own: PortRange[];
  readonly inner: Range[];
  /** With all that is allowed around it; worked out where it is asked for. */
  ports?: readonly PortRange[];
}

/**
 * Disjoint pieces of address space in order, each with all ports that the entries allow there. CIDRs are nested or
 * apart, so the ports of a place are those of the narrowest CIDR around it and of all CIDRs around that.
 *
 * Each range of ports of a piece takes a box, so one with more than there is room for ends it: a policy that nobody
 * can have costs no more than one that is at the bound.
 */
function piecesOf(entries: readonly PartEntry[], within: readonly Range[], room: number, field: string): Piece[] {
  return nodesOf(entries)
    .flatMap((node) => {
      const ranges = intersectRanges(subtractRanges([node.whole], node.inner), within);
      if (ranges.length === 0) return [];
      const ports = portsOf(node);
      if (ports.length > room) throw tooMany(field);
      return ranges.map((range) => ({ range, ports }));
    })
    .sort((left, right) => (left.range.first < right.range.first ? -1 : 1));
}

/** One for each CIDR that is named, by place. */
function nodesOf(entries: readonly PartEntry[]): Node[] {
  const nodes: Node[] = [];
  const around: Node[] = [];
  for (const { cidr, only } of entries.toSorted(byPlace)) {
    while (around.length > 0 && (around.at(-1)?.whole.last ?? 0n) < cidr.first) around.pop();
    const outer = around.at(-1);
    const whole = rangeOf(cidr);
    if (outer?.whole.first === whole.first && outer.whole.last === whole.last) {
      outer.own.push(...only.ports);
      continue;
    }
    const node: Node = { whole, outer, own: [...only.ports], inner: [] };
    outer?.inner.push(whole);
    nodes.push(node);
    around.push(node);
  }
  return nodes;
}

function portsOf(node: Node): readonly PortRange[] {
  node.ports ??= mergePorts([...(node.outer === undefined ? [] : portsOf(node.outer)), ...node.own]);
  return node.ports;
}

/** By lowest address, the wider first. */
function byPlace({ cidr: left }: PartEntry, { cidr: right }: PartEntry): number {
  return left.first === right.first ? left.prefix - right.prefix : left.first < right.first ? -1 : 1;
}

function tooMany(field: string): PolicyError {
  return new PolicyError(`needs more than ${MAX_PORT_RULES} rules of addresses and ports`, {
    field,
    hint: "list fewer ports, join them into ranges, or allow whole CIDRs",
  });
}
