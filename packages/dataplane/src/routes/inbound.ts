// Who may come to a sandbox: its list of CIDRs, compiled once for each route.
import type { Cidr } from "@sallyport/policy";
import { lastAddress, parseAddress, parseCidr } from "@sallyport/policy";
import type { Route } from "./route.ts";

const compiled = new WeakMap<readonly string[], readonly Cidr[]>();

/**
 * Whether a client of this address may use tunnels and tokens of the sandbox. An address that cannot be read may only
 * where everybody may. An IPv4 address in IPv6 dress (`::ffff:198.51.100.7`) counts as what it is.
 */
export function mayCome({ inbound }: Pick<Route, "inbound">, address: string): boolean {
  if (inbound === undefined) return true;
  const parsed = parseAddress(address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address);
  if (parsed === undefined) return false;
  return cidrsOf(inbound).some(
    (cidr) => cidr.family === parsed.family && cidr.first <= parsed.value && parsed.value <= lastAddress(cidr),
  );
}

function cidrsOf(inbound: readonly string[]): readonly Cidr[] {
  let cidrs = compiled.get(inbound);
  if (cidrs === undefined) {
    cidrs = inbound.map((text) => parseCidr(text));
    compiled.set(inbound, cidrs);
  }
  return cidrs;
}
