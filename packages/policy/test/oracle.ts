// The law a second time, for tests: addresses are strings of bits, rules are tried one by one. It shares nothing with the
// package but the two tables, read by a reader of its own.

import { type AllowRule, NEVER_REACHABLE, type NetworkRules, PRIVATE, type Protocol } from "../src/index.ts";

/** A prefix: family and its leading bits. An address is one with all bits. */
export interface Bits {
  readonly family: 4 | 6;
  readonly bits: string;
}

/** An entry of an allow list before it is written down. */
export interface OracleEntry {
  readonly at: Bits;
  readonly protocol?: Protocol | undefined;
  readonly ports?: readonly (readonly [from: number, to: number])[] | undefined;
}

/** `sctp` stands for all protocols that no rule can name. */
export type AnyProtocol = Protocol | "sctp";

/** A packet's destination. The port is 0 where the protocol has none. */
export interface Packet {
  readonly address: Bits;
  readonly protocol: AnyProtocol;
  readonly port: number;
}

export type Mode = "open" | "blocked" | "allow";

export const width = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** Every group written out, no `::`. */
export function text({ family, bits }: Bits): string {
  const full = bits.padEnd(width(family), "0");
  const size = family === 4 ? 8 : 16;
  const parts = Array.from({ length: width(family) / size }, (_, index) =>
    Number.parseInt(full.slice(index * size, index * size + size), 2).toString(family === 4 ? 10 : 16),
  );
  return parts.join(family === 4 ? "." : ":");
}

export const cidrText = (value: Bits): string => `${text(value)}/${value.bits.length}`;

/** As a caller might write it, not canonical: a port is a number or a range of one. */
export function entryText({ at, protocol, ports }: OracleEntry): string | AllowRule {
  if (protocol === undefined && ports === undefined) return cidrText(at);
  return { cidr: cidrText(at), protocol, ports };
}

/** Reads table texts and answers of the package, CIDRs and addresses: expands `::` by hand. */
export function read(cidr: string): Bits {
  const [address = "", prefix = "128"] = cidr.split("/");
  if (!address.includes(":")) {
    const bits = address.split(".").map((octet) => Number(octet).toString(2).padStart(8, "0"));
    return { family: 4, bits: bits.join("").slice(0, Number(prefix)) };
  }
  const [head = "", tail = ""] = address.split("::");
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const filler = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => "0");
  const bits = [...groups(head), ...filler, ...groups(tail)].map((group) =>
    Number.parseInt(group, 16).toString(2).padStart(16, "0"),
  );
  return { family: 6, bits: bits.join("").slice(0, Number(prefix)) };
}

export const holds = (outer: Bits, inner: Bits): boolean =>
  outer.family === inner.family && inner.bits.startsWith(outer.bits);

/** Whether the union of a list covers a prefix, by splitting it until the answer is plain. */
export function covered(value: Bits, list: readonly Bits[]): boolean {
  if (list.some((item) => holds(item, value))) return true;
  if (!list.some((item) => holds(value, item))) return false;
  return ["0", "1"].every((bit) => covered({ ...value, bits: value.bits + bit }, list));
}

export const never: readonly Bits[] = NEVER_REACHABLE.map((row) => read(row.cidr));
export const privates: readonly Bits[] = PRIVATE.map((row) => read(row.cidr));

const within = (list: readonly Bits[], address: Bits): boolean => list.some((item) => holds(item, address));

function lets({ protocol, ports }: OracleEntry, packet: Packet): boolean {
  if (protocol === undefined && ports === undefined) return true;
  if (packet.protocol === "sctp") return false;
  if (protocol !== undefined && protocol !== packet.protocol) return false;
  if (packet.protocol === "icmp") return protocol === "icmp";
  if (ports === undefined) return packet.port !== 0;
  return ports.some(([from, to]) => from <= packet.port && packet.port <= to);
}

/** The law, in the words of the law. */
export function lawAllows(
  mode: Mode,
  entries: readonly OracleEntry[],
  grants: readonly Bits[],
  packet: Packet,
  own: readonly Bits[] = [],
): boolean {
  const { address } = packet;
  if (within(never, address) || within(own, address) || mode === "blocked") return false;
  const isPrivate = within(privates, address);
  if (mode === "open") return !isPrivate;
  const listed = entries.filter((entry) => holds(entry.at, address) && lets(entry, packet));
  return isPrivate ? listed.some((entry) => covered(entry.at, grants)) : listed.length > 0;
}

/** What a kernel does with compiled rules: never set, mode, granted, port rules, private set, allow list, drop. */
export function rulesAllow(rules: NetworkRules, { address, protocol, port }: Packet): boolean {
  const listed = (list: readonly string[]): boolean => within(list.map(read), address);
  if (within(never, address) || rules.mode === "blocked") return false;
  if (listed([...rules.granted4, ...rules.granted6])) return true;
  const boxed = rules.portRules.some(
    (rule) =>
      rule.family === address.family &&
      read(rule.first).bits <= address.bits &&
      address.bits <= read(rule.last).bits &&
      rule.protocol === protocol &&
      rule.fromPort <= port &&
      port <= rule.toPort,
  );
  if (boxed) return true;
  if (within(privates, address)) return false;
  return rules.mode === "open" || listed([...rules.allow4, ...rules.allow6]);
}

export const unique = (list: readonly Bits[]): Bits[] => [
  ...new Map(list.map((value) => [cidrText(value), value])).values(),
];
