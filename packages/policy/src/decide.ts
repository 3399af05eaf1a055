// What happens to one destination, and because of what. Written from the law, entry by entry, and not from the compiler,
// so that the two can be held against each other.

import { type Cidr, cidrContains, parseCidr } from "./cidr.ts";
import { hostOf, type Target } from "./destination.ts";
import { type Entry, type Only, type Protocol, parseEntry } from "./entry.ts";
import type { NetworkPolicy } from "./parse.ts";
import { isEveryPort, mergePorts, type PortRange } from "./ports.ts";
import { rangeOf, rangesOf, subtractRanges } from "./ranges.ts";
import { NEVER_ENTRIES, PRIVATE_ENTRIES, type ReservedEntry } from "./reserved.ts";

/** An entry and where it stands in the allow list. */
export interface Placed extends Entry {
  readonly index: number;
}

/** Merged ports of one protocol; of ICMP `NO_PORT`. */
export interface Part {
  readonly protocol: Protocol;
  readonly ports: readonly PortRange[];
}

export type Decision =
  /** Nothing opens it: a row of the law. */
  | { readonly kind: "never"; readonly row: ReservedEntry }
  /** Nothing opens it: an address of a machine of the platform. */
  | { readonly kind: "host" }
  | { readonly kind: "blocked"; readonly row: ReservedEntry | undefined }
  | { readonly kind: "open" }
  /** Private, and `open` names no private address. */
  | { readonly kind: "closed"; readonly row: ReservedEntry }
  | Allowed
  | Unlisted;

/** Entries of the allow list let something of the destination through. */
export interface Allowed {
  readonly kind: "allowed";
  /** All that do. */
  readonly by: readonly Placed[];
  /** The first that lets all of it through; where it takes several together, the first of them. */
  readonly entry: Placed;
  /** The row that makes the address private, where it is. */
  readonly row: ReservedEntry | undefined;
  /** What gets through where that is not all of the destination. */
  readonly only: readonly Part[] | undefined;
}

/** No entry of the allow list lets any of the destination through. */
export interface Unlisted {
  readonly kind: "unlisted";
  readonly row: ReservedEntry | undefined;
  readonly around: Around;
}

/** What an allow list has about an address, though not about what is asked. */
interface Around {
  /** Every entry that contains the address. */
  readonly listed: readonly Placed[];
  /** Those of them that would let all of the destination through, were they granted. */
  readonly fitting: readonly Placed[];
  /** What is let through to the address, none of which is asked. */
  readonly parts: readonly Part[];
  /** Whether the grants contain the address. */
  readonly granted: boolean;
}

/** @throws PolicyError where policy, grants or own addresses are not canonical data. */
export function decide(
  policy: NetworkPolicy,
  grants: readonly string[],
  target: Target,
  ownAddresses: readonly string[],
): Decision {
  const host = hostOf(target);
  const never = rowOf(NEVER_ENTRIES, host);
  if (never !== undefined) return { kind: "never", row: never };
  if (ownAddresses.some((own) => cidrContains(parseCidr(own, "ownAddresses"), host))) return { kind: "host" };
  const row = rowOf(PRIVATE_ENTRIES, host);
  if (policy === "blocked") return { kind: "blocked", row };
  if (policy === "open") return row === undefined ? { kind: "open" } : { kind: "closed", row };

  const listed = policy.allow
    .map((entry, index) => ({ ...parseEntry(entry, `network.allow[${index}]`), index }))
    .filter(({ cidr }) => cidrContains(cidr, host));
  const granted = grants.map((grant) => parseCidr(grant, "grants"));
  const counting = row === undefined ? listed : listed.filter((entry) => isInside(entry.cidr, granted));
  const by = counting.filter(({ only }) => only === undefined || touches(only, target));
  const [first] = by;
  if (first !== undefined) {
    const entry = by.find((each) => letsAll(each, target)) ?? first;
    return { kind: "allowed", by, entry, row, only: onlyOf(by, target) };
  }
  const fitting = listed.filter((each) => letsAll(each, target));
  const around = { listed, fitting, parts: partsOf(counting), granted: isInside(host, granted) };
  return { kind: "unlisted", row, around };
}

function rowOf(entries: readonly ReservedEntry[], host: Cidr): ReservedEntry | undefined {
  return entries.find((entry) => cidrContains(entry.parsed, host));
}

/** Whether the CIDRs, taken together, contain all of one. */
function isInside(cidr: Cidr, cidrs: readonly Cidr[]): boolean {
  return subtractRanges([rangeOf(cidr)], rangesOf(cidr.family, cidrs)).length === 0;
}

/** Whether a rule lets any of what is asked through. */
function touches({ protocols, ports }: Only, { protocol, port }: Target): boolean {
  if (protocol === undefined) return true;
  if (!protocols.includes(protocol)) return false;
  return port === undefined || ports.some(({ first, last }) => first <= port && port <= last);
}

/** Whether an entry, were it alone, would let all that is asked through. */
function letsAll(entry: Placed, target: Target): boolean {
  return entry.only === undefined || (touches(entry.only, target) && onlyOf([entry], target) === undefined);
}

/** What of the question the entries let through, where that is not all of it. */
function onlyOf(by: readonly Placed[], { protocol, port }: Target): readonly Part[] | undefined {
  if (port !== undefined || protocol === "icmp" || by.some(({ only }) => only === undefined)) return undefined;
  const parts = partsOf(by).filter((part) => protocol === undefined || part.protocol === protocol);
  const whole = protocol !== undefined && parts.every(({ ports }) => isEveryPort(ports));
  return whole ? undefined : parts;
}

/** What rules let through, by protocol. */
function partsOf(entries: readonly Placed[]): Part[] {
  return (["tcp", "udp", "icmp"] as const).flatMap((protocol) => {
    const ports = entries.flatMap(({ only }) => (only?.protocols.includes(protocol) === true ? only.ports : []));
    return ports.length === 0 ? [] : [{ protocol, ports: mergePorts(ports) }];
  });
}
