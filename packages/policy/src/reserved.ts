// The two tables of law: what no policy reaches, and what only an operator's grant opens. One row per range.

import type { Family } from "./address.ts";
import { type Cidr, parseCidr } from "./cidr.ts";
import { type Range, rangesOf } from "./ranges.ts";

export interface ReservedRange {
  readonly cidr: string;
  /** What lies there, as a sentence part for people: "loopback". */
  readonly reason: string;
  /** Set where the addresses are other spellings of IPv4 ones. */
  readonly hidesIpv4?: true;
  /** Where that is written down. */
  readonly source: string;
}

/**
 * Never reachable, whatever the policy says. The machine's own addresses and the platform's join this list at run time.
 * The documentation ranges 198.51.100.0/24 and 2001:db8::/32 are left out on purpose: they are nobody's, and tests use
 * them as the public internet.
 */
export const NEVER_REACHABLE: readonly ReservedRange[] = Object.freeze([
  { cidr: "0.0.0.0/8", reason: "this host on this network", source: "RFC 1122 3.2.1.3" },
  { cidr: "100.64.0.0/10", reason: "carrier-grade NAT, and the addresses of the sandboxes", source: "RFC 6598" },
  { cidr: "127.0.0.0/8", reason: "loopback", source: "RFC 1122 3.2.1.3" },
  { cidr: "168.63.129.16/32", reason: "metadata and agent endpoint of Azure", source: "Azure documentation" },
  { cidr: "169.254.0.0/16", reason: "link-local, with the metadata services of most clouds", source: "RFC 3927" },
  { cidr: "192.0.0.0/24", reason: "protocol assignments, with a metadata service", source: "RFC 6890" },
  { cidr: "224.0.0.0/4", reason: "multicast", source: "RFC 5771" },
  { cidr: "240.0.0.0/4", reason: "class E and limited broadcast", source: "RFC 1112 4" },
  {
    cidr: "::/96",
    reason: "unspecified, loopback and IPv4-compatible, which hides IPv4",
    hidesIpv4: true,
    source: "RFC 4291 2.5",
  },
  { cidr: "::ffff:0:0/96", reason: "IPv4-mapped, which hides IPv4", hidesIpv4: true, source: "RFC 4291 2.5.5.2" },
  { cidr: "::ffff:0:0:0/96", reason: "IPv4-translated, which hides IPv4", hidesIpv4: true, source: "RFC 2765 2.1" },
  { cidr: "64:ff9b::/96", reason: "NAT64, which hides IPv4", hidesIpv4: true, source: "RFC 6052" },
  { cidr: "64:ff9b:1::/48", reason: "local NAT64, which hides IPv4", hidesIpv4: true, source: "RFC 8215" },
  { cidr: "2001::/32", reason: "Teredo, which hides IPv4", hidesIpv4: true, source: "RFC 4380" },
  { cidr: "2002::/16", reason: "6to4, which hides IPv4", hidesIpv4: true, source: "RFC 3056" },
  { cidr: "fd00:42::42/128", reason: "metadata service of Scaleway", source: "Scaleway documentation" },
  { cidr: "fd00:ec2::/32", reason: "metadata services of Amazon", source: "EC2 documentation" },
  { cidr: "fd20:ce::254/128", reason: "metadata service of Google", source: "Compute Engine documentation" },
  { cidr: "fe80::/10", reason: "link-local", source: "RFC 4291 2.5.6" },
  { cidr: "fec0::/10", reason: "site-local", source: "RFC 3879" },
  { cidr: "ff00::/8", reason: "multicast", source: "RFC 4291 2.7" },
]);

/** Reachable only where an allow-listed CIDR lies inside what the operator granted. */
export const PRIVATE: readonly ReservedRange[] = Object.freeze([
  { cidr: "10.0.0.0/8", reason: "private network", source: "RFC 1918" },
  { cidr: "172.16.0.0/12", reason: "private network", source: "RFC 1918" },
  { cidr: "192.168.0.0/16", reason: "private network", source: "RFC 1918" },
  { cidr: "fc00::/7", reason: "unique local addresses", source: "RFC 4193" },
]);

export interface ReservedEntry extends ReservedRange {
  readonly parsed: Cidr;
}

const parsed = (table: readonly ReservedRange[]): readonly ReservedEntry[] =>
  table.map((row) => ({ ...row, parsed: parseCidr(row.cidr) }));

/** The tables with their CIDRs parsed. */
export const NEVER_ENTRIES: readonly ReservedEntry[] = parsed(NEVER_REACHABLE);
export const PRIVATE_ENTRIES: readonly ReservedEntry[] = parsed(PRIVATE);

const byFamily = (entries: readonly ReservedEntry[]): Readonly<Record<Family, readonly Range[]>> => {
  const cidrs = entries.map((entry) => entry.parsed);
  return { 4: rangesOf(4, cidrs), 6: rangesOf(6, cidrs) };
};

/** The tables as ranges by family. */
export const NEVER_RANGES: Readonly<Record<Family, readonly Range[]>> = byFamily(NEVER_ENTRIES);
export const PRIVATE_RANGES: Readonly<Record<Family, readonly Range[]>> = byFamily(PRIVATE_ENTRIES);
