// One entry of an allow list: a CIDR, or a rule about some protocols and ports of one. Strict in, canonical out.

import { type Cidr, formatCidr, parseCidr } from "./cidr.ts";
import { PolicyError, quote } from "./errors.ts";
import { ALL_PORTS, formatPorts, isEveryPort, type PortRange, type PortSpec, parsePorts } from "./ports.ts";

/** A protocol above IP that a rule can name. `icmp` is ICMP to IPv4 destinations and ICMPv6 to IPv6 ones. */
export type Protocol = "tcp" | "udp" | "icmp";

/**
 * A CIDR of which only a part is allowed. Ports without a protocol are those of TCP and UDP; a protocol without ports
 * is all of it; neither is everything, as if the CIDR stood alone. ICMP has no ports.
 */
export interface AllowRule {
  readonly cidr: string;
  readonly protocol?: Protocol | undefined;
  readonly ports?: readonly PortSpec[] | undefined;
}

/** An entry in numbers. */
export interface Entry {
  readonly cidr: Cidr;
  /** What of the CIDR is allowed; `undefined`: everything, protocols that no rule can name among it. */
  readonly only: Only | undefined;
}

export interface Only {
  readonly protocols: readonly Protocol[];
  /** Merged. Those of ICMP are `NO_PORT`. */
  readonly ports: readonly PortRange[];
}

/** In place of ports where the protocol has none. */
const NO_PORT: PortRange = Object.freeze({ first: 0, last: 0 });

const KEYS: readonly string[] = ["cidr", "protocol", "ports"];
const PORT_PROTOCOLS: readonly Protocol[] = ["tcp", "udp"];
export const PROTOCOL_HINT = 'write "tcp", "udp" or "icmp", or leave it out';
const HINT = "write { cidr, protocol, ports }, the last two where only a part is allowed";

/** Field of the CIDR of an entry: the entry itself where it is only a CIDR. */
export function cidrField(input: unknown, field: string): string {
  return typeof input === "string" ? field : `${field}.cidr`;
}

/**
 * Parses a CIDR or an allow rule.
 *
 * @throws PolicyError naming the part of the entry that is wrong: `network.allow[3].ports[1]`.
 */
export function parseEntry(input: unknown, field: string): Entry {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return { cidr: parseCidr(input, field), only: undefined };
  }
  const unknown = Object.keys(input).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw new PolicyError(`${quote(unknown)} is not part of an allow rule`, { field, hint: HINT });
  }
  const { cidr, protocol, ports }: { cidr?: unknown; protocol?: unknown; ports?: unknown } = input;
  if (cidr === undefined) throw new PolicyError("has no cidr", { field, hint: HINT });
  return { cidr: parseCidr(cidr, `${field}.cidr`), only: parseOnly(protocol, ports, field) };
}

function parseOnly(protocol: unknown, ports: unknown, field: string): Only | undefined {
  const named = protocol === undefined ? undefined : parseProtocol(protocol, `${field}.protocol`);
  if (named === "icmp") {
    if (ports === undefined) return { protocols: [named], ports: [NO_PORT] };
    throw new PolicyError("ICMP has no ports", {
      field: `${field}.ports`,
      hint: "leave ports out, or name tcp or udp",
    });
  }
  if (ports === undefined) return named === undefined ? undefined : { protocols: [named], ports: [ALL_PORTS] };
  return { protocols: named === undefined ? PORT_PROTOCOLS : [named], ports: parsePorts(ports, `${field}.ports`) };
}

function parseProtocol(value: unknown, field: string): Protocol {
  if (isProtocol(value)) return value;
  throw new PolicyError(`${quote(value)} is not a protocol`, { field, hint: PROTOCOL_HINT });
}

export function isProtocol(value: unknown): value is Protocol {
  return value === "tcp" || value === "udp" || value === "icmp";
}

/** The canonical form, frozen: a text where everything is allowed, else a rule that says no more than it must. */
export function formatEntry({ cidr, only }: Entry): string | AllowRule {
  const text = formatCidr(cidr);
  if (only === undefined) return text;
  const [protocol, ...more] = only.protocols;
  const both = more.length > 0;
  // All ports of both protocols are not everything: the ports have to stay.
  const plain = protocol === "icmp" || (!both && isEveryPort(only.ports));
  return Object.freeze({
    cidr: text,
    ...(both ? {} : { protocol }),
    ...(plain ? {} : { ports: formatPorts(only.ports) }),
  });
}

/** The canonical form as a text; equal for entries that say the same. */
export function entryKey(entry: Entry): string {
  return JSON.stringify(formatEntry(entry));
}
