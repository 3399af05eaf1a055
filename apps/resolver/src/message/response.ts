// Answers of the host's resolvers: what of them belongs to the question, and nothing else.

import { isWithin, type Name, nameKey, readName, sameName } from "./name.ts";
import { type DnsRecord, readData } from "./records.ts";
import { CLASS_IN, FLAG, HEADER_BYTES, MessageError, TYPE } from "./wire.ts";

/** A question that was sent. */
export interface Question {
  readonly name: Name;
  readonly type: number;
}

export interface Response {
  readonly truncated: boolean;
  readonly rcode: number;
  /** There is no record of the type that was asked for. */
  readonly negative: boolean;
  /** Aliases in their order, then the records of the type that was asked for. */
  readonly records: readonly DnsRecord[];
  /** The zone's SOA, where the answer is that there is none. */
  readonly authority: DnsRecord | undefined;
}

/** Longer chains of aliases are cut short as errors. */
const MAX_ALIASES = 16;
/** Records of one section: more are an error, since each costs time of the one thread that answers everybody. */
const MAX_RECORDS = 256;

interface Section {
  readonly records: readonly DnsRecord[];
  readonly end: number;
}

/** Whether bytes could be the answer to what was sent: an id and a question that others would have to guess. */
export function answers(message: Uint8Array, id: number, question: Question): boolean {
  if (message.length < HEADER_BYTES) return false;
  const view = viewOf(message);
  if (view.getUint16(0) !== id || (view.getUint16(2) & FLAG.response) === 0 || view.getUint16(4) !== 1) return false;
  try {
    const { name, end } = readName(message, HEADER_BYTES, false);
    if (end + 4 > message.length || !sameName(name, question.name)) return false;
    return view.getUint16(end) === question.type && view.getUint16(end + 2) === CLASS_IN;
  } catch (error) {
    if (error instanceof MessageError) return false;
    throw error;
  }
}

/** Reads a message of which {@link answers} is true. Throws MessageError where it breaks the format. */
export function parseResponse(message: Uint8Array, question: Question): Response {
  const view = viewOf(message);
  const flags = view.getUint16(2);
  const base = { truncated: (flags & FLAG.truncated) !== 0, rcode: flags & 0x000f };
  // What is cut off is asked for again: nothing of it is read.
  if (base.truncated) return { ...base, negative: true, records: [], authority: undefined };
  const start = readName(message, HEADER_BYTES, false).end + 4;
  const section = readSection(message, view, start, view.getUint16(6));
  const { records, last, found } = chain(section.records, question);
  if (found) return { ...base, negative: false, records, authority: undefined };
  const rest = readSection(message, view, section.end, view.getUint16(8));
  const authority = rest.records.find((record) => record.type === TYPE.SOA && isWithin(last, record.owner));
  return { ...base, negative: true, records, authority };
}

function readSection(message: Uint8Array, view: DataView, start: number, count: number): Section {
  if (count > MAX_RECORDS) throw new MessageError("more records than anybody needs");
  const records: DnsRecord[] = [];
  let at = start;
  for (let index = 0; index < count; index += 1) {
    const { name: owner, end } = readName(message, at, true);
    if (end + 10 > message.length) throw new MessageError("a record that is cut off");
    const [type, klass, ttl] = [view.getUint16(end), view.getUint16(end + 2), view.getUint32(end + 4)];
    at = end + 10 + view.getUint16(end + 8);
    if (at > message.length) throw new MessageError("a record runs over the end");
    if (klass !== CLASS_IN) continue;
    const data = readData(message, type, end + 10, at);
    // A time with the highest bit set counts as none: RFC 2181 8.
    if (data !== undefined) records.push({ owner, type, ttl: ttl > 0x7fff_ffff ? 0 : ttl, data });
  }
  return { records, end: at };
}

/** From the name that was asked for along its aliases to the records of the type. */
function chain(all: readonly DnsRecord[], question: Question): { records: DnsRecord[]; last: Name; found: boolean } {
  // Each name is read once: a long chain before many records would else cost the product of both.
  const byOwner = Map.groupBy(all, (record) => nameKey(record.owner));
  const records: DnsRecord[] = [];
  let last = question.name;
  for (let aliases = 0; ; aliases += 1) {
    const here = byOwner.get(nameKey(last)) ?? [];
    const wanted = here.filter((record) => record.type === question.type);
    records.push(...wanted);
    if (wanted.length > 0) return { records, last, found: true };
    const alias = here.find((record) => record.type === TYPE.CNAME);
    if (alias === undefined) return { records, last, found: false };
    if (aliases === MAX_ALIASES) throw new MessageError("a chain of aliases that does not end");
    records.push(alias);
    last = alias.data;
  }
}

function viewOf(message: Uint8Array): DataView {
  return new DataView(message.buffer, message.byteOffset, message.byteLength);
}
