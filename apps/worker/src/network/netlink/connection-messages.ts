// The messages of the kernel's table of connections: those of a mark listed and taken out, and one taken out by its
// addresses. Pure.

import { type Attribute, attribute, DUMP, message, nested, readAttributes, u8, u32 } from "./messages.ts";

const SUBSYSTEM = 1;
const GET = 1;
const DELETE = 2;

const FAMILY_UNSPEC = 0;
const FAMILY_IPV4 = 2;
const FAMILY_IPV6 = 10;

const ORIGINAL = 1;
const REPLY = 2;
const MARK = 8;
const MARK_MASK = 21;

const TUPLE_ADDRESSES = 1;
const TUPLE_PROTOCOL = 2;
const PROTOCOL_NUMBER = 1;
const SOURCE_PORT = 2;
const DESTINATION_PORT = 3;
const ICMP_ID = 4;
const ICMP_TYPE = 5;
const ICMP_CODE = 6;
const ICMPV6_ID = 7;
const ICMPV6_TYPE = 8;
const ICMPV6_CODE = 9;

/** Where a tuple has its addresses, by family. */
const ADDRESSES = [
  { family: FAMILY_IPV4, source: 1, destination: 2 },
  { family: FAMILY_IPV6, source: 3, destination: 4 },
] as const;
/** What a tuple names itself by, the ends left as they are. */
const SAME_BOTH_WAYS = [PROTOCOL_NUMBER, ICMP_ID, ICMP_CODE, ICMPV6_ID, ICMPV6_CODE];
/** Answers and what they answer to: echoes, timestamps, information, masks. */
const ICMP_REQUESTS: ReadonlyMap<number, number> = new Map([
  [0, 8],
  [14, 13],
  [16, 15],
  [18, 17],
]);
const ICMPV6_REQUESTS: ReadonlyMap<number, number> = new Map([
  [129, 128],
  [140, 139],
]);

/** Marks that are the same in the bits of the mask. */
export interface Marks {
  readonly mark: number;
  readonly mask: number;
}

/** Asks for all connections of the marks, of both families. */
export function listConnections(marks: Marks): Buffer {
  return message({ ...ofMarks(marks), type: typeOf(GET), flags: DUMP });
}

/** Takes all connections of the marks out, of both families. */
export function deleteConnections(marks: Marks): Buffer {
  return message({ ...ofMarks(marks), type: typeOf(DELETE), flags: 0 });
}

function ofMarks({ mark, mask }: Marks): Pick<Parameters<typeof message>[0], "family" | "sequence" | "attributes"> {
  return { family: FAMILY_UNSPEC, sequence: 1, attributes: [u32(MARK, mark), u32(MARK_MASK, mask)] };
}

/** A connection as whoever forwards it next sees it. */
export interface Onward {
  readonly family: number;
  /** Where it comes from: four or sixteen bytes. */
  readonly source: Buffer;
  /** The tuple of its first packet. */
  readonly tuple: Attribute;
}

/**
 * What goes out for a listed connection, translated: its answers the other way round. Undefined where the kernel said
 * nothing of the kind. Throws RangeError where the bytes are no attributes.
 */
export function onward(listed: Buffer): Onward | undefined {
  const reply = membersOf(readAttributes(listed).get(REPLY));
  const [addresses, protocol] = [membersOf(reply.get(TUPLE_ADDRESSES)), membersOf(reply.get(TUPLE_PROTOCOL))];
  for (const { family, source, destination } of ADDRESSES) {
    const [from, to] = [addresses.get(source), addresses.get(destination)];
    if (from === undefined || to === undefined) continue;
    const turned = nested(ORIGINAL, [
      nested(TUPLE_ADDRESSES, [attribute(source, to), attribute(destination, from)]),
      nested(TUPLE_PROTOCOL, turnedProtocol(protocol)),
    ]);
    return { family, source: to, tuple: turned };
  }
  return undefined;
}

function turnedProtocol(protocol: ReadonlyMap<number, Buffer>): Attribute[] {
  const copy = (from: number, to: number): Attribute[] => {
    const value = protocol.get(from);
    return value === undefined ? [] : [attribute(to, value)];
  };
  const request = (type: number, requests: ReadonlyMap<number, number>): Attribute[] => {
    const answer = protocol.get(type)?.readUInt8(0);
    return answer === undefined ? [] : [u8(type, requests.get(answer) ?? answer)];
  };
  return [
    ...SAME_BOTH_WAYS.flatMap((type) => copy(type, type)),
    ...copy(DESTINATION_PORT, SOURCE_PORT),
    ...copy(SOURCE_PORT, DESTINATION_PORT),
    ...request(ICMP_TYPE, ICMP_REQUESTS),
    ...request(ICMPV6_TYPE, ICMPV6_REQUESTS),
  ];
}

/** A connection as whoever began it sees it. */
export interface Beginning {
  readonly family: number;
  /** Where it goes: four or sixteen bytes. */
  readonly destination: Buffer;
  /** As IP numbers it. */
  readonly protocol: number;
  /** Of the destination; 0 where the protocol has none. */
  readonly port: number;
  readonly tuple: Attribute;
}

/** How a listed connection began. Undefined where the kernel said nothing of the kind. Throws RangeError as `onward`. */
export function beginning(listed: Buffer): Beginning | undefined {
  const payload = readAttributes(listed).get(ORIGINAL);
  const members = membersOf(payload);
  const [addresses, protocol] = [membersOf(members.get(TUPLE_ADDRESSES)), membersOf(members.get(TUPLE_PROTOCOL))];
  const number = protocol.get(PROTOCOL_NUMBER)?.readUInt8(0);
  for (const { family, destination } of ADDRESSES) {
    const to = addresses.get(destination);
    if (payload === undefined || to === undefined || number === undefined) continue;
    const port = protocol.get(DESTINATION_PORT)?.readUInt16BE(0) ?? 0;
    return { family, destination: to, protocol: number, port, tuple: nested(ORIGINAL, [payload]) };
  }
  return undefined;
}

/** Takes one connection out. Nothing is said where it worked. */
export function deleteConnection({ family, tuple }: Pick<Onward, "family" | "tuple">, sequence: number): Buffer {
  return message({ type: typeOf(DELETE), flags: 0, family, sequence, attributes: [tuple] });
}

function membersOf(bytes: Buffer | undefined): ReadonlyMap<number, Buffer> {
  return bytes === undefined ? new Map() : readAttributes(bytes);
}

function typeOf(messageType: number): number {
  return (SUBSYSTEM << 8) | messageType;
}
