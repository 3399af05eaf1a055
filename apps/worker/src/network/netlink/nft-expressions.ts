// The few expressions that the rules of a slot's own chains are made of, as nf_tables has them. Pure.

import { type Attribute, nested, text, u32, u64 } from "./messages.ts";
import { registers, type Verdict, value, verdictData } from "./nft-messages.ts";

const LIST_ELEMENT = 1;
/** The first of the machine's 32-bit registers, and its name as one of 128 bits. */
const FIRST_REGISTER = 8;
const FIRST_WIDE_REGISTER = 1;
const VERDICT_REGISTER = 0;

const META_LINKS = { iifname: 6, oifname: 7 } as const;
const META_FAMILY = 15;
const META_PROTOCOL = 16;
const FAMILIES = { 4: 2, 6: 10 } as const;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
const EQUAL = 0;
const PER_SECOND = 1;
const OF_PACKETS = 0;
const OVER = 1;
const NOT_EQUAL = 1;

export type Side = "saddr" | "daddr";

const ADDRESSES: Readonly<Record<4 | 6, { readonly bytes: number; readonly at: Readonly<Record<Side, number>> }>> = {
  4: { bytes: 4, at: { saddr: 12, daddr: 16 } },
  6: { bytes: 16, at: { saddr: 8, daddr: 24 } },
};
/** Ports lie at the same places of TCP and UDP. */
const PORTS: Readonly<Record<Side, number>> = { saddr: 0, daddr: 2 };

/** `ip daddr @set` and the like; with `ports`, `ip daddr . meta l4proto . th dport @set`. */
export function lookUp(family: 4 | 6, side: Side, set: string, ports: boolean): Attribute[] {
  const { bytes, at } = ADDRESSES[family];
  const protocolRegister = FIRST_REGISTER + registers(bytes);
  return [
    meta(META_FAMILY, FIRST_WIDE_REGISTER),
    compare(EQUAL, Buffer.of(FAMILIES[family])),
    payload(NETWORK_HEADER, at[side], bytes, FIRST_WIDE_REGISTER),
    ...(ports
      ? [meta(META_PROTOCOL, protocolRegister), payload(TRANSPORT_HEADER, PORTS[side], 2, protocolRegister + 1)]
      : []),
    expression("lookup", [text(1, set), u32(2, FIRST_WIDE_REGISTER)]),
  ];
}

/** `iifname != NAME` or `oifname != NAME`. */
export function isOtherLink(side: keyof typeof META_LINKS, link: Buffer): Attribute[] {
  return [meta(META_LINKS[side], FIRST_WIDE_REGISTER), compare(NOT_EQUAL, link)];
}

/** `limit rate over N/second burst M packets`. */
export function rateOver(perSecond: number, burst: number): Attribute {
  const rate = [u64(1, perSecond), u64(2, PER_SECOND), u32(3, burst), u32(4, OF_PACKETS), u32(5, OVER)];
  return expression("limit", rate);
}

export function verdict(is: Verdict): Attribute {
  return expression("immediate", [u32(1, VERDICT_REGISTER), verdictData(2, is)]);
}

function meta(key: number, register: number): Attribute {
  return expression("meta", [u32(2, key), u32(1, register)]);
}

function payload(base: number, offset: number, bytes: number, register: number): Attribute {
  return expression("payload", [u32(1, register), u32(2, base), u32(3, offset), u32(4, bytes)]);
}

function compare(operation: number, data: Buffer): Attribute {
  return expression("cmp", [u32(1, FIRST_WIDE_REGISTER), u32(2, operation), value(3, data)]);
}

function expression(name: string, data: readonly Attribute[]): Attribute {
  return nested(LIST_ELEMENT, [text(1, name), nested(2, data)]);
}
