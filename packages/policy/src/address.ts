// One address of either family as a number, and its one canonical text.

export type Family = 4 | 6;

export interface IpAddress {
  readonly family: Family;
  readonly value: bigint;
}

/** Address bits of a family: 32 or 128. */
export function bitsOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Highest address of a family. */
export function lastOf(family: Family): bigint {
  return (1n << BigInt(bitsOf(family))) - 1n;
}

// No leading zeros: "010" is eight to inet_aton and ten to a person, so neither reading is taken.
const OCTET = /^(?:0|[1-9][0-9]{0,2})$/;
const GROUP = /^[0-9a-fA-F]{1,4}$/;

/** Four plain decimal octets, nothing else: no short, octal, hexadecimal or one-number forms. */
export function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!OCTET.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/** RFC 4291 text without zone id and without a dotted IPv4 tail. `::` stands for at least one group. */
export function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? "");
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? "") : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...tail];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

function groupsOf(half: string): bigint[] | undefined {
  if (half === "") return [];
  const parts = half.split(":");
  return parts.every((part) => GROUP.test(part)) ? parts.map((part) => BigInt(`0x${part}`)) : undefined;
}

/**
 * One address, for evaluation. Unlike an allow entry it may carry a dotted IPv4 tail (`::ffff:198.51.100.1`), because
 * that is what a person asks about; it stays an IPv6 address. `undefined` where it is no address.
 */
export function parseAddress(text: string): IpAddress | undefined {
  if (!text.includes(":")) return family(4, parseIpv4(text));
  const dotted = /^(.*:)([0-9.]+\.[0-9.]+)$/.exec(text);
  if (dotted === null) return family(6, parseIpv6(text));
  const tail = parseIpv4(dotted[2] ?? "");
  if (tail === undefined) return undefined;
  return family(6, parseIpv6(`${dotted[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`));
}

function family(kind: Family, value: bigint | undefined): IpAddress | undefined {
  return value === undefined ? undefined : { family: kind, value };
}

/** Dotted decimal, or RFC 5952 (lower case, longest run of zero groups shortened, never a dotted tail). */
export function formatAddress(address: IpAddress): string {
  if (address.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => ((address.value >> shift) & 0xffn).toString()).join(".");
  }
  const groups = Array.from({ length: 8 }, (_, index) => (address.value >> BigInt(112 - 16 * index)) & 0xffffn);
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly bigint[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0n) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}
