// IP addresses as text and as bytes.
import { isIPv4, isIPv6, SocketAddress } from "node:net";

/** Of an IPv4 address inside an IPv6 one (RFC 4291, section 2.5.5.2). */
const MAPPED_PREFIX: Buffer = Buffer.from("00000000000000000000ffff", "hex");
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;

/** 4 bytes of an IPv4 address, also of one inside an IPv6 address; 16 of another; undefined when the text is neither. */
export function addressBytes(text: string): Buffer | undefined {
  if (isIPv4(text)) return ipv4Bytes(text);
  if (!isIPv6(text)) return undefined;
  // A zone is this machine's own name of an interface: it says nothing to another.
  const bytes = ipv6Bytes(text.replace(/%.*$/, ""));
  return bytes.subarray(0, MAPPED_PREFIX.length).equals(MAPPED_PREFIX) ? bytes.subarray(MAPPED_PREFIX.length) : bytes;
}

/** The same address in 16 bytes. */
export function inIpv6(bytes: Buffer): Buffer {
  return bytes.length === IPV6_BYTES ? bytes : Buffer.concat([MAPPED_PREFIX, bytes]);
}

/** Shortest text of 4 or 16 bytes; an IPv4 address inside an IPv6 one is written as what it is, lest it pass for another. */
export function addressText(bytes: Buffer): string {
  if (bytes.length === IPV4_BYTES) return bytes.join(".");
  if (bytes.subarray(0, MAPPED_PREFIX.length).equals(MAPPED_PREFIX)) {
    return bytes.subarray(MAPPED_PREFIX.length).join(".");
  }
  const groups = Array.from({ length: IPV6_BYTES / 2 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}

function ipv4Bytes(text: string): Buffer {
  return Buffer.from(text.split(".").map(Number));
}

/** Of a text that is an IPv6 address (RFC 4291, section 2.2). */
function ipv6Bytes(text: string): Buffer {
  const [front = "", back] = text.split("::");
  const head = groupBytes(front);
  const tail = groupBytes(back ?? "");
  return Buffer.concat([head, Buffer.alloc(IPV6_BYTES - head.length - tail.length), tail]);
}

function groupBytes(text: string): Buffer {
  if (text === "") return Buffer.alloc(0);
  return Buffer.concat(
    text.split(":").map((group) => (isIPv4(group) ? ipv4Bytes(group) : Buffer.from(group.padStart(4, "0"), "hex"))),
  );
}
