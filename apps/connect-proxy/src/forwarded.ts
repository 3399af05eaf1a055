// Where a request comes from, as the app is told: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239). What a
// client says of itself counts only where the client is a proxy of the operator's.

import { BlockList, isIP } from "node:net";
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { RequestFacts } from "./exchange.ts";

/** What a trusted proxy said so far, as it came: a header that came in several lines is several values. */
export interface ToldSoFar {
  readonly for: string[];
  readonly proto: string[];
  readonly host: string[];
  readonly forwarded: string[];
}

/** Adds the headers for the app; `told` is what a trusted peer said, undefined where the peer is none. */
export function addForwarded(to: RawHeader[], { host, peerAddress, scheme }: RequestFacts, told?: ToldSoFar): void {
  const address = plainAddress(peerAddress);
  const own = `for=${node(address)};host="${host}";proto=${scheme}`;
  if (told === undefined) {
    to.push(
      ["X-Forwarded-For", address],
      ["X-Forwarded-Proto", scheme],
      ["X-Forwarded-Host", host],
      ["Forwarded", own],
    );
    return;
  }
  to.push(
    ["X-Forwarded-For", joined([...told.for, address])],
    ["X-Forwarded-Proto", joined(told.proto) || scheme],
    ["X-Forwarded-Host", joined(told.host) || host],
    ["Forwarded", joined([...told.forwarded, own])],
  );
}

/** An address without its interface, and an IPv4 address as such even where an IPv6 socket saw it (`::ffff:…`). */
export function plainAddress(address: string): string {
  const zone = address.indexOf("%");
  const bare = zone < 0 ? address : address.slice(0, zone);
  return bare.startsWith("::ffff:") && isIP(bare.slice(7)) === 4 ? bare.slice(7) : bare;
}

/**
 * Whether an address is of the operator's proxies: addresses and CIDRs, of either family. Throws a `RangeError` that
 * names what is neither.
 */
export function trustedPeers(list: readonly string[]): (address: string) => boolean {
  if (list.length === 0) return () => false;
  const block = new BlockList();
  for (const entry of list) {
    const [address = "", prefix, ...rest] = entry.split("/");
    const family = isIP(address);
    const bits = family === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^[0-9]{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (family === 0 || rest.length > 0 || length < 0 || length > bits) {
      throw new RangeError(`${JSON.stringify(entry)} is no address and no CIDR, for example 10.0.0.0/8`);
    }
    block.addSubnet(address, length, family === 4 ? "ipv4" : "ipv6");
  }
  return (address) => {
    const plain = plainAddress(address);
    const family = isIP(plain);
    return family !== 0 && block.check(plain, family === 4 ? "ipv4" : "ipv6");
  };
}

/** A node of RFC 7239, section 6: IPv6 in brackets and quotes; what is no address (a Unix socket) is `unknown`. */
function node(address: string): string {
  const family = isIP(address);
  return family === 4 ? address : family === 6 ? `"[${address}]"` : "unknown";
}

function joined(values: readonly string[]): string {
  return values.filter((value) => value.trim() !== "").join(", ");
}
