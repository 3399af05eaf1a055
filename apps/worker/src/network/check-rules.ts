// Holds rule data to its word before it becomes rules of the kernel: whatever the api let through, nothing that is out of
// shape or out of place gets further.

import {
  type Cidr,
  cidrContains,
  cidrsOverlap,
  formatAddress,
  formatCidr,
  type IpAddress,
  MAX_PORT_RULES,
  NEVER_REACHABLE,
  type NetworkRules,
  PolicyError,
  type PortRule,
  PRIVATE,
  parseAddress,
  parseCidr,
} from "@sallyport/policy";
import { NetworkError } from "./errors.ts";

const MODES: readonly unknown[] = ["open", "blocked", "allow"];
const PROTOCOLS: readonly unknown[] = ["tcp", "udp", "icmp"];
const LAST_PORT = 0xffff;
const NEVER = NEVER_REACHABLE.map(({ cidr }) => parseCidr(cidr));
const PRIVATES = PRIVATE.map(({ cidr }) => parseCidr(cidr));

/**
 * Known mode, canonical CIDRs and addresses of the right family, ports that are some, lists only where the mode is
 * `allow`. Throws NetworkError `InvalidRules`.
 */
export function checkShape(rules: NetworkRules): void {
  require(MODES.includes(rules.mode), "unknown mode of network rules");
  for (const { list, family } of cidrLists(rules)) {
    require(Array.isArray(list), "network rules lack a list");
    for (const text of list) {
      const cidr = cidrOf(text);
      require(cidr.family === family, "a list holds the other family");
      require(formatCidr(cidr) === text, "a list holds a CIDR that is not canonical");
    }
  }
  require(Array.isArray(rules.portRules), "network rules lack a list");
  require(rules.portRules.length <= MAX_PORT_RULES, `there are more than ${MAX_PORT_RULES} port rules`);
  for (const rule of rules.portRules) checkPortRule(rule);
  const entries = [...cidrLists(rules).flatMap(({ list }) => list), ...rules.portRules];
  require(rules.mode === "allow" || entries.length === 0, `mode ${rules.mode} carries no list`);
}

/** As `checkShape`, and everything where it may be: what is allowed in public space, what is granted in private space. */
export function checkRules(rules: NetworkRules): void {
  checkShape(rules);
  for (const { list, granted } of cidrLists(rules)) {
    for (const text of list) requirePlace(cidrOf(text), granted);
  }
  for (const rule of rules.portRules) {
    for (const cidr of coverOf(rule)) requirePlace(cidr, rule.granted);
  }
}

interface CidrList {
  readonly list: readonly unknown[];
  readonly family: 4 | 6;
  readonly granted: boolean;
}

function cidrLists(rules: NetworkRules): CidrList[] {
  return [
    { list: rules.allow4, family: 4, granted: false },
    { list: rules.allow6, family: 6, granted: false },
    { list: rules.granted4, family: 4, granted: true },
    { list: rules.granted6, family: 6, granted: true },
  ];
}

function checkPortRule(rule: PortRule): void {
  require(typeof rule === "object" && rule !== null, "a port rule is none");
  const [first, last] = [addressOf(rule.first, rule.family), addressOf(rule.last, rule.family)];
  require(first.value <= last.value, "a port rule ends before it begins");
  require(PROTOCOLS.includes(rule.protocol), "a port rule has an unknown protocol");
  require(typeof rule.granted === "boolean", "a port rule does not say whether it is granted");
  const { fromPort, toPort } = rule;
  const ports = [fromPort, toPort];
  if (rule.protocol === "icmp") require(ports.every((port) => port === 0), "a port rule has ports of ICMP");
  else {
    const known = ports.every((port) => Number.isInteger(port) && port >= 1 && port <= LAST_PORT);
    require(known && fromPort <= toPort, "a port rule has ports that are none");
  }
}

function addressOf(text: unknown, family: unknown): IpAddress {
  const address = typeof text === "string" ? parseAddress(text) : undefined;
  if (address === undefined || address.family !== family || formatAddress(address) !== text) {
    throw new NetworkError("InvalidRules", "a port rule has an address that is not canonical, or of the other family");
  }
  return address;
}

/** The fewest CIDRs that are the range together. */
function coverOf({ family, first, last }: PortRule): Cidr[] {
  const [from, to] = [addressOf(first, family).value, addressOf(last, family).value];
  const bits = family === 4 ? 32 : 128;
  const cidrs: Cidr[] = [];
  for (let at = from; at <= to; ) {
    let size = 0;
    while (size < bits && (at >> BigInt(size)) % 2n === 0n && at + (2n << BigInt(size)) - 1n <= to) size += 1;
    cidrs.push({ family, first: at, prefix: bits - size });
    at += 1n << BigInt(size);
  }
  return cidrs;
}

function requirePlace(cidr: Cidr, granted: boolean): void {
  const isNever = NEVER.some((other) => cidrsOverlap(cidr, other));
  const inPlace = granted
    ? PRIVATES.some((range) => cidrContains(range, cidr))
    : !PRIVATES.some((range) => cidrsOverlap(cidr, range));
  require(inPlace && !isNever, "network rules open what they may not");
}

function cidrOf(text: unknown): Cidr {
  try {
    return parseCidr(text, "rules");
  } catch (error) {
    if (error instanceof PolicyError) throw new NetworkError("InvalidRules", error.message, error);
    throw error;
  }
}

function require(holds: boolean, problem: string): void {
  if (!holds) throw new NetworkError("InvalidRules", problem);
}
