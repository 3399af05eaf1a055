// Addresses of peers as rules and apps know them, and the operator's lists of peers that are believed.
import { BlockList, isIP } from "node:net";

/** An address without its interface, and an IPv4 address as such even where an IPv6 socket saw it (`::ffff:…`). */
export function plainAddress(address: string): string {
  const zone = address.indexOf("%");
  const bare = zone < 0 ? address : address.slice(0, zone);
  return bare.startsWith("::ffff:") && isIP(bare.slice(7)) === 4 ? bare.slice(7) : bare;
}

/**
 * Whether an address is of the operator's proxies: addresses and CIDRs, of either family. Throws a `RangeError` that
 * names what is neither, or is everybody: whoever comes would be whom he says he is.
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
    if (length === 0) throw new RangeError(`${JSON.stringify(entry)} is everybody, who could claim any address`);
    block.addSubnet(address, length, family === 4 ? "ipv4" : "ipv6");
  }
  return (address) => {
    const plain = plainAddress(address);
    const family = isIP(plain);
    return family !== 0 && block.check(plain, family === 4 ? "ipv4" : "ipv6");
  };
}
