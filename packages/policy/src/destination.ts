// What a question is about: an address, and of it a protocol and a port where they are named.

import { bitsOf, formatAddress, type IpAddress, parseAddress } from "./address.ts";
import type { Cidr } from "./cidr.ts";
import { isProtocol, PROTOCOL_HINT, type Protocol } from "./entry.ts";
import { PolicyError, quote } from "./errors.ts";
import { ALL_PORTS } from "./ports.ts";

/**
 * A destination of a connection or packet. What it leaves out, it leaves open: without a port it is every port of the
 * protocol, without both it is everything that can be sent to the address. A port without a protocol is one of TCP.
 */
export interface Destination {
  readonly address: string;
  readonly protocol?: Protocol | undefined;
  /** 1 to 65,535; never with `icmp`. */
  readonly port?: number | undefined;
}

/** A destination in numbers. */
export interface Target {
  readonly address: IpAddress;
  readonly protocol: Protocol | undefined;
  /** Only with `tcp` and `udp`. */
  readonly port: number | undefined;
}

/** Longest text there can be: a protocol, a full IPv6 address in brackets with a dotted tail, a port. */
const MAX_TEXT_LENGTH = 64;
const SCHEME = /^([A-Za-z0-9+.-]*):\/\//;
const BRACKETED = /^\[([^\]]*)\](?::(.*))?$/;
const PORT = /^[1-9][0-9]{0,4}$/;
const HINT = "write an address such as 198.51.100.7, 198.51.100.7:443, udp://[2001:db8::1]:53 or icmp://198.51.100.7";

/**
 * Parses `198.51.100.7`, `198.51.100.7:443` (TCP), `2001:db8::1`, `[2001:db8::1]:443`, and each of them after `tcp://`,
 * `udp://` or `icmp://`. The address of the answer is canonical.
 *
 * @throws PolicyError for anything else, names of hosts among it: a policy knows addresses only.
 */
export function parseDestination(text: unknown, field = "destination"): Destination {
  const { address, protocol, port } = parseTarget(text, field);
  return {
    address: formatAddress(address),
    ...(protocol === undefined ? {} : { protocol }),
    ...(port === undefined ? {} : { port }),
  };
}

/** The text that `parseDestination` reads back to the same. */
export function formatDestination(destination: Destination): string {
  return targetText(targetOf(destination, "destination"));
}

/** @throws PolicyError naming the field, for a text as `parseDestination` does, and for a destination that is none. */
export function targetOf(destination: string | Destination, field: string): Target {
  if (typeof destination === "string") return parseTarget(destination, field);
  const address = addressOf(destination.address, field);
  return { address, ...serviceOf(destination.protocol, destination.port, field) };
}

function parseTarget(text: unknown, field: string): Target {
  const refuse = (message: string, hint = HINT): PolicyError =>
    new PolicyError(`${quote(text)} ${message}`, { field, hint });
  if (typeof text !== "string") throw refuse("is not a destination");
  if (text.length > MAX_TEXT_LENGTH) throw refuse("is too long for a destination");
  const scheme = SCHEME.exec(text);
  const protocol = scheme?.[1];
  if (protocol !== undefined && !isProtocol(protocol)) {
    throw refuse("names a protocol that policies do not know", "use tcp://, udp:// or icmp://");
  }
  const { host, port } = split(text.slice(scheme?.[0].length ?? 0));
  if (port !== undefined && !PORT.test(port)) throw refuse("has no port from 1 to 65535");
  const address = addressOf(host, field, text);
  return { address, ...serviceOf(protocol, port === undefined ? undefined : Number(port), field) };
}

/** Host and port of an authority. Brackets hold IPv6 only; IPv6 without brackets has no port. */
function split(authority: string): { host: string; port: string | undefined } {
  const bracketed = BRACKETED.exec(authority);
  if (bracketed !== null) {
    const host = bracketed[1] ?? "";
    return { host: host.includes(":") ? host : authority, port: bracketed[2] };
  }
  const colon = authority.indexOf(":");
  if (colon === -1 || authority.includes(":", colon + 1)) return { host: authority, port: undefined };
  return { host: authority.slice(0, colon), port: authority.slice(colon + 1) };
}

function addressOf(host: unknown, field: string, shown: unknown = host): IpAddress {
  const address = typeof host === "string" ? parseAddress(host) : undefined;
  if (address !== undefined) return address;
  const hint = /\.[a-z]/i.test(String(host)) ? "policies know addresses, not names: look the name up first" : HINT;
  throw new PolicyError(`${quote(shown)} is not an IP address`, { field, hint });
}

function serviceOf(
  protocol: Protocol | undefined,
  port: number | undefined,
  field: string,
): Pick<Target, "protocol" | "port"> {
  if (protocol !== undefined && !isProtocol(protocol)) {
    throw new PolicyError(`${quote(protocol)} is not a protocol`, { field, hint: PROTOCOL_HINT });
  }
  if (port === undefined) return { protocol, port };
  if (protocol === "icmp") throw new PolicyError("ICMP has no ports", { field, hint: "leave the port out" });
  if (!Number.isInteger(port) || port < ALL_PORTS.first || port > ALL_PORTS.last) {
    throw new PolicyError(`${port} is not a port`, { field, hint: "write a whole number from 1 to 65535" });
  }
  return { protocol: protocol ?? "tcp", port };
}

export function targetText({ address, protocol, port }: Target): string {
  const text = formatAddress(address);
  if (protocol === undefined) return text;
  const host = address.family === 6 ? `[${text}]` : text;
  return `${protocol}://${host}${port === undefined ? "" : `:${port}`}`;
}

/** The address of a target as the CIDR that holds nothing else. */
export function hostOf({ address }: Target): Cidr {
  return { family: address.family, first: address.value, prefix: bitsOf(address.family) };
}
