// CIDRs: strict text in, canonical text out. What two readers could read differently is refused.

import { bitsOf, type Family, formatAddress, lastOf, parseIpv4, parseIpv6 } from "./address.ts";
import { PolicyError, quote } from "./errors.ts";

export interface Cidr {
  readonly family: Family;
  /** Lowest address; its host bits are zero. */
  readonly first: bigint;
  readonly prefix: number;
}

/** Longest text an entry can have: eight full groups and a prefix length. Longer input is refused unread. */
const MAX_TEXT_LENGTH = 43;
const PREFIX = /^(?:0|[1-9][0-9]{0,2})$/;

/**
 * Parses `198.51.100.0/24`, `2001:db8::/32`, or a bare address, which means exactly that host.
 *
 * @param field names the value in the error.
 * @throws PolicyError for anything else: host bits set, octal, hexadecimal or short IPv4, leading zeros in octets or
 * prefix, zone ids, dotted IPv4 tails in IPv6, white space.
 */
export function parseCidr(text: unknown, field = "cidr"): Cidr {
  const refuse = (message: string, hint?: string): PolicyError =>
    new PolicyError(`${quote(text)} ${message}`, hint === undefined ? { field } : { field, hint });
  if (typeof text !== "string") throw refuse("is not a CIDR", "write a string such as 198.51.100.0/24");
  if (text.length > MAX_TEXT_LENGTH) throw refuse("is too long for a CIDR");
  const slash = text.indexOf("/");
  const addressText = slash === -1 ? text : text.slice(0, slash);
  const family: Family = addressText.includes(":") ? 6 : 4;
  if (family === 6 && addressText.includes(".")) {
    throw refuse("hides an IPv4 address in an IPv6 one", "write the IPv4 CIDR itself");
  }
  if (addressText.includes("%")) throw refuse("carries a zone id", "zones have no meaning outside one machine");
  const address = family === 4 ? parseIpv4(addressText) : parseIpv6(addressText);
  if (address === undefined) {
    throw refuse(
      family === 4 ? "is not an IPv4 CIDR" : "is not an IPv6 CIDR",
      family === 4
        ? "write four decimal numbers without leading zeros and a prefix length, such as 198.51.100.0/24"
        : "write groups of hexadecimal digits and a prefix length, such as 2001:db8::/32",
    );
  }
  const prefix = slash === -1 ? bitsOf(family) : parsePrefix(text.slice(slash + 1), family);
  if (prefix === undefined) throw refuse(`has no prefix length from 0 to ${bitsOf(family)}`);
  const cidr = { family, first: address & ~hostMask(family, prefix), prefix };
  if (cidr.first !== address) {
    throw refuse(
      `has host bits set`,
      `${formatCidr(cidr)} is the network, ${addressText}/${bitsOf(family)} the one host`,
    );
  }
  return cidr;
}

function parsePrefix(text: string, family: Family): number | undefined {
  if (!PREFIX.test(text)) return undefined;
  const prefix = Number(text);
  return prefix <= bitsOf(family) ? prefix : undefined;
}

function hostMask(family: Family, prefix: number): bigint {
  return lastOf(family) >> BigInt(prefix);
}

/** Canonical text, always with a prefix length. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress({ family: cidr.family, value: cidr.first })}/${cidr.prefix}`;
}

/** Highest address of a CIDR. */
export function lastAddress(cidr: Cidr): bigint {
  return cidr.first | hostMask(cidr.family, cidr.prefix);
}

export function cidrContains(outer: Cidr, inner: Cidr): boolean {
  return outer.family === inner.family && outer.first <= inner.first && lastAddress(inner) <= lastAddress(outer);
}

export function cidrsOverlap(left: Cidr, right: Cidr): boolean {
  return left.family === right.family && left.first <= lastAddress(right) && right.first <= lastAddress(left);
}
