// Whose connections count together.
import { isIPv6 } from "node:net";

/** By address; all are forgotten when there are more than {@link MAX_KNOWN}. */
const known = new Map<string, string>();
const MAX_KNOWN = 2_048;

/** Of an address: itself; of IPv6 its /64, since whoever has one address of it has them all. */
export function groupOf(address: string): string {
  const found = known.get(address);
  if (found !== undefined) return found;
  const group = work(address);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(address, group);
  return group;
}

const GROUP_END = "::/64";
/** Of a group's words, those that are the network's: /48, what one customer may have. */
const NETWORK_WORDS = 3;

/** Of a group: itself; of IPv6 its /48. */
export function networkOf(group: string): string {
  return group.endsWith(GROUP_END) ? `${group.split(":").slice(0, NETWORK_WORDS).join(":")}::/48` : group;
}

function work(address: string): string {
  if (!isIPv6(address)) return address;
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
  if (!isIPv6(plain)) return plain;
  const [head = "", tail] = (plain.split("%")[0] ?? "").split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${groups.slice(0, 4).join(":")}${GROUP_END}`;
}
