// Messages that we send: queries to the host's resolvers, answers to sandboxes.

import { type Name, nameKey } from "./name.ts";
import type { QueryHead } from "./query.ts";
import type { DnsRecord } from "./records.ts";
import type { Question } from "./response.ts";
import {
  CLASS_IN,
  EDNS_OPTION_EXTENDED_ERROR,
  type ExtendedError,
  FLAG,
  PLAIN_UDP_BYTES,
  type Rcode,
  TCP_BYTES,
  TYPE,
  UDP_BYTES,
} from "./wire.ts";

/** What is answered to a query. */
export interface Answer {
  readonly rcode: Rcode;
  readonly records: readonly DnsRecord[];
  readonly authority: DnsRecord | undefined;
  readonly extended: ExtendedError | undefined;
}

export type Transport = "udp" | "tcp";

/** A query as we send it. `edns`: whether to say how much UDP may bring; older servers know no such record. */
export function encodeQuery(id: number, question: Question, edns: boolean): Buffer {
  const out = new Writer();
  out.uint16(id, FLAG.recursionDesired, 1, 0, 0, edns ? 1 : 0);
  out.bytes(question.name);
  out.uint16(question.type, CLASS_IN);
  if (edns) out.opt(UDP_BYTES, 0, undefined);
  return out.message();
}

/** An answer; over UDP one that is too long comes without its records, and says so. */
export function encodeAnswer(head: QueryHead, answer: Answer, transport: Transport): Buffer {
  const whole = encode(head, answer, false);
  if (whole.length <= longest(head, transport)) return whole;
  return encode(head, { ...answer, records: [], authority: undefined }, true);
}

function longest(head: QueryHead, transport: Transport): number {
  if (transport === "tcp") return TCP_BYTES;
  return Math.min(Math.max(head.ednsBytes ?? 0, PLAIN_UDP_BYTES), UDP_BYTES);
}

function encode(head: QueryHead, answer: Answer, truncated: boolean): Buffer {
  const { records, authority, rcode, extended } = answer;
  const out = new Writer();
  const flags = FLAG.response | FLAG.recursionAvailable | head.flags | (truncated ? FLAG.truncated : 0) | (rcode & 0xf);
  const counts = [head.question.length > 0 ? 1 : 0, records.length, authority === undefined ? 0 : 1];
  out.uint16(head.id, flags, ...counts, head.ednsBytes === undefined ? 0 : 1);
  if (head.question.length > 0) out.question(head.question);
  for (const record of records) out.record(record);
  if (authority !== undefined) out.record(authority);
  if (head.ednsBytes !== undefined) out.opt(UDP_BYTES, rcode >> 4, extended);
  return out.message();
}

class Writer {
  readonly #parts: Uint8Array[] = [];
  /** Where each owner's name was written first. */
  readonly #names = new Map<string, number>();
  #length = 0;

  /** Name, type and class as they were asked. */
  question(bytes: Uint8Array): void {
    this.#names.set(nameKey(bytes.subarray(0, -4)), this.#length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  uint16(...values: readonly number[]): void {
    const bytes = Buffer.alloc(2 * values.length);
    for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index);
    this.bytes(bytes);
  }

  record({ owner, type, ttl, data }: DnsRecord): void {
    this.#owner(owner);
    const head = Buffer.alloc(10);
    head.writeUInt16BE(type, 0);
    head.writeUInt16BE(CLASS_IN, 2);
    head.writeUInt32BE(ttl, 4);
    head.writeUInt16BE(data.length, 8);
    this.bytes(head);
    this.bytes(data);
  }

  /** RFC 6891 6.1, with an error of RFC 8914 where there is one. */
  opt(udpBytes: number, extendedRcode: number, extended: ExtendedError | undefined): void {
    const text = Buffer.from(extended?.text ?? "", "utf8");
    const option = Buffer.alloc(extended === undefined ? 0 : 6);
    if (extended !== undefined) {
      option.writeUInt16BE(EDNS_OPTION_EXTENDED_ERROR, 0);
      option.writeUInt16BE(2 + text.length, 2);
      option.writeUInt16BE(extended.code, 4);
    }
    const head = Buffer.alloc(11);
    head.writeUInt16BE(TYPE.OPT, 1);
    head.writeUInt16BE(udpBytes, 3);
    head.writeUInt8(extendedRcode, 5);
    head.writeUInt16BE(option.length + text.length, 9);
    for (const bytes of [head, option, text]) this.bytes(bytes);
  }

  message(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }

  /** Written once, and pointed to from then on. */
  #owner(owner: Name): void {
    const key = nameKey(owner);
    const at = this.#names.get(key);
    if (at !== undefined) {
      this.uint16(0xc000 | at);
      return;
    }
    if (this.#length < 0x4000) this.#names.set(key, this.#length);
    this.bytes(owner);
  }
}
