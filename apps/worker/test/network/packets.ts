// Packets as bytes, well-formed or not: whatever somebody with a raw socket can put on a wire. Pure.

import { parseAddress } from "@sallyport/policy";

/** Numbers of the protocols that tests speak of (IANA). */
export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  sixInFour: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  authentication: 51,
  icmpv6: 58,
  destination: 60,
  sctp: 132,
} as const;

export interface Ends {
  readonly from: string;
  readonly to: string;
}

/** Four bytes or sixteen. */
export function addressBytes(address: string): Buffer {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`${address} is no address`);
  return Buffer.from(parsed.value.toString(16).padStart(parsed.family === 4 ? 8 : 32, "0"), "hex");
}

export const isIpv6 = (address: string): boolean => address.includes(":");

function onesSum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Sum of RFC 1071 over the pseudo header of either family and the payload. */
function transportSum({ from, to }: Ends, protocol: number, payload: Buffer): number {
  const tail = Buffer.alloc(isIpv6(to) ? 8 : 4);
  if (isIpv6(to)) {
    tail.writeUInt32BE(payload.length);
    tail.writeUInt8(protocol, 7);
  } else {
    tail.writeUInt8(protocol, 1);
    tail.writeUInt16BE(payload.length, 2);
  }
  return onesSum(Buffer.concat([addressBytes(from), addressBytes(to), tail, payload]));
}

export interface Ipv4 extends Ends {
  readonly protocol: number;
  readonly payload: Buffer;
  readonly id?: number;
  /** In bytes; a multiple of eight. */
  readonly offset?: number;
  readonly more?: boolean;
  readonly options?: Buffer;
  readonly ttl?: number;
}

export function ipv4(packet: Ipv4): Buffer {
  const { from, to, protocol, payload, id = 0, offset = 0, more = false, options = Buffer.alloc(0), ttl = 64 } = packet;
  const padded = Buffer.concat([options, Buffer.alloc((4 - (options.length % 4)) % 4)]);
  const length = 20 + padded.length;
  const head = Buffer.alloc(20);
  head.writeUInt8(0x40 | (length / 4), 0);
  head.writeUInt16BE(length + payload.length, 2);
  head.writeUInt16BE(id, 4);
  head.writeUInt16BE((more ? 0x2000 : 0) | (offset / 8), 6);
  head.writeUInt8(ttl, 8);
  head.writeUInt8(protocol, 9);
  addressBytes(from).copy(head, 12);
  addressBytes(to).copy(head, 16);
  head.writeUInt16BE(onesSum(Buffer.concat([head, padded])), 10);
  return Buffer.concat([head, padded, payload]);
}

export interface Ipv6 extends Ends {
  /** Of the first header after this one. */
  readonly next: number;
  readonly payload: Buffer;
  readonly hopLimit?: number;
}

export function ipv6({ from, to, next, payload, hopLimit = 64 }: Ipv6): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(0x60000000, 0);
  head.writeUInt16BE(payload.length, 4);
  head.writeUInt8(next, 6);
  head.writeUInt8(hopLimit, 7);
  return Buffer.concat([head, addressBytes(from), addressBytes(to), payload]);
}

/** A packet of either family; ICMP's number follows the family. */
export function packet(ends: Ends, protocol: number, payload: Buffer): Buffer {
  return isIpv6(ends.to) ? ipv6({ ...ends, next: protocol, payload }) : ipv4({ ...ends, protocol, payload });
}

/** An extension header of IPv6 with its options, padded (RFC 8200 4.2). */
export function extension(next: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const length = Math.ceil((2 + body.length) / 8) * 8;
  const header = Buffer.alloc(length);
  header.writeUInt8(next, 0);
  header.writeUInt8(length / 8 - 1, 1);
  body.copy(header, 2);
  const room = length - 2 - body.length;
  // PadN; one byte of padding is Pad1, which is zero as it is.
  if (room > 1) Buffer.from([1, room - 2]).copy(header, 2 + body.length);
  return header;
}

export function fragmentHeader(next: number, id: number, offset: number, more: boolean): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(next, 0);
  header.writeUInt16BE(offset | (more ? 1 : 0), 2);
  header.writeUInt32BE(id, 4);
  return header;
}

export interface Piece {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly more: boolean;
}

/** A payload in pieces of so many bytes, a multiple of eight. */
export function pieces(payload: Buffer, size: number): Piece[] {
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, index) => ({
    bytes: payload.subarray(index * size, (index + 1) * size),
    offset: index * size,
    more: index < count - 1,
  }));
}

/** One packet per piece. */
export function fragments(ends: Ends, protocol: number, id: number, parts: readonly Piece[]): Buffer[] {
  return parts.map(({ bytes, offset, more }) =>
    isIpv6(ends.to)
      ? ipv6({
          ...ends,
          next: PROTOCOL.fragment,
          payload: Buffer.concat([fragmentHeader(protocol, id, offset, more), bytes]),
        })
      : ipv4({ ...ends, protocol, payload: bytes, id: id & 0xffff, offset, more }),
  );
}

export interface Ports {
  readonly sport: number;
  readonly dport: number;
}

export function udp(ends: Ends, { sport, dport }: Ports, text: Buffer): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), text]);
  datagram.writeUInt16BE(sport, 0);
  datagram.writeUInt16BE(dport, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  datagram.writeUInt16BE(transportSum(ends, PROTOCOL.udp, datagram) || 0xffff, 6);
  return datagram;
}

/** An SCTP packet that asks for an association. */
export function sctp({ sport, dport }: Ports, text: Buffer): Buffer {
  const chunk = Buffer.concat([Buffer.from([1, 0, 0, 20 + text.length]), Buffer.alloc(16, 1), text]);
  const whole = Buffer.concat([Buffer.alloc(12), chunk]);
  whole.writeUInt16BE(sport, 0);
  whole.writeUInt16BE(dport, 2);
  whole.writeUInt32LE(crc32c(whole), 8);
  return whole;
}

/** RFC 3309. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

export const TCP = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;

export function tcp(ends: Ends, { sport, dport }: Ports, flags: number, text: Buffer): Buffer {
  const segment = Buffer.concat([Buffer.alloc(20), text]);
  segment.writeUInt16BE(sport, 0);
  segment.writeUInt16BE(dport, 2);
  segment.writeUInt32BE(0x01020304, 4);
  segment.writeUInt8(0x50, 12);
  segment.writeUInt8(flags, 13);
  segment.writeUInt16BE(0xffff, 14);
  segment.writeUInt16BE(transportSum(ends, PROTOCOL.tcp, segment), 16);
  return segment;
}

/** ICMP or ICMPv6, by the family; `rest` is the second word of its header. */
export function icmp(ends: Ends, type: number, code: number, rest: number, body: Buffer): Buffer {
  const message = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), body]);
  message.writeUInt32BE(rest >>> 0, 4);
  const sum = isIpv6(ends.to) ? transportSum(ends, PROTOCOL.icmpv6, message) : onesSum(message);
  message.writeUInt16BE(sum, 2);
  return message;
}

/** An echo request with an identifier of its own. */
export function echo(ends: Ends, id: number, text: Buffer): Buffer {
  return icmp(ends, isIpv6(ends.to) ? 128 : 8, 0, (id << 16) | 1, text);
}

/** The number of ICMP in the family of an address. */
export const icmpProtocol = (address: string): number => (isIpv6(address) ? PROTOCOL.icmpv6 : PROTOCOL.icmp);

const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd } as const;

/** A frame around a packet; hardware addresses as `ip` prints them. */
export function frame(to: string, from: string, payload: Buffer, ethertype?: number): Buffer {
  const type = Buffer.alloc(2);
  type.writeUInt16BE(ethertype ?? ((payload[0] ?? 0) >>> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4));
  return Buffer.concat([hardware(to), hardware(from), type, payload]);
}

export function hardware(address: string): Buffer {
  return Buffer.from(address.replaceAll(":", ""), "hex");
}
