// Names that are answered here and never asked for: those that mean something on one machine or one network only.

import { type Cidr, parseAddress } from "@sallyport/policy";
import { type AddressRanges, RESERVED } from "./address-ranges.ts";
import { labelsOf, type Name } from "./message/name.ts";
import { TYPE } from "./message/wire.ts";

/** How a name is answered without asking anybody. */
export type LocalAnswer = "no such name" | "no data";

/** The name and everything below it is none. */
const NAMES: readonly (readonly [name: string, source: string])[] = [
  ["localhost", "RFC 6761 6.3: a sandbox has its own in /etc/hosts"],
  ["local", "RFC 6762 3: multicast DNS"],
  ["invalid", "RFC 6761 6.4"],
  ["test", "RFC 6761 6.2"],
  ["onion", "RFC 7686"],
  ["alt", "RFC 9476"],
  ["internal", "reserved by ICANN for private use; metadata services live there"],
  ["home.arpa", "RFC 8375: home networks"],
  ["resolver.arpa", "RFC 9462: would name another resolver"],
  ["service.arpa", "RFC 9665: services of one network"],
  ["ipv4only.arpa", "RFC 8880: tells how IPv4 hides in IPv6, which no policy lets pass"],
];
const TABLE: ReadonlySet<string> = new Set(NAMES.map(([name]) => name));
const LONGEST = 2;

const ADDRESS_TYPES: ReadonlySet<number> = new Set([TYPE.A, TYPE.AAAA]);

/**
 * Whether, and how, a question is answered here. `own`: addresses of machines that no sandbox reaches; who asks for
 * their names is told of none.
 */
export function localAnswer(name: Name, type: number, own: AddressRanges): LocalAnswer | undefined {
  const labels = labelsOf(name);
  for (let count = 1; count <= LONGEST; count += 1) {
    if (labels.length >= count && TABLE.has(labels.slice(-count).join("."))) return "no such name";
  }
  const zone = reverseZone(labels);
  if (zone !== undefined && (RESERVED.contains(zone) || own.contains(zone))) return "no such name";
  // Hosts of one label are somebody's local network. That there is no such name at all would be told of all below it.
  if (labels.length <= 1 && ADDRESS_TYPES.has(type)) return "no data";
  return undefined;
}

/** The addresses whose reverse look-ups lie at or below a name; of too many labels, the last ones that make one address. */
function reverseZone(labels: readonly string[]): Cidr | undefined {
  const [tree, arpa] = [labels.at(-2), labels.at(-1)];
  if (arpa !== "arpa") return undefined;
  if (tree === "in-addr") return ipv4Zone(labels.slice(0, -2).reverse().slice(0, 4));
  if (tree === "ip6") return ipv6Zone(labels.slice(0, -2).reverse().slice(0, 32));
  return undefined;
}

function ipv4Zone(octets: readonly string[]): Cidr | undefined {
  const address = parseAddress([...octets, "0", "0", "0", "0"].slice(0, 4).join("."));
  return address === undefined ? undefined : { family: 4, first: address.value, prefix: 8 * octets.length };
}

function ipv6Zone(nibbles: readonly string[]): Cidr | undefined {
  if (!nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble))) return undefined;
  return { family: 6, first: BigInt(`0x${nibbles.join("").padEnd(32, "0")}`), prefix: 4 * nibbles.length };
}
