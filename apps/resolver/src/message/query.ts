// Queries of sandboxes: parsed to the last byte, or answered with why not. What is here alone reads strangers' bytes.

import { type Name, readName } from "./name.ts";
import { CLASS_IN, FLAG, HEADER_BYTES, MessageError, RCODE, type Rcode, TYPE } from "./wire.ts";

/** What of a query an answer needs, whatever the answer is. */
export interface QueryHead {
  readonly id: number;
  /** RD, and the opcode's bits: both are sent back. */
  readonly flags: number;
  /** Name, type and class as they came; empty where they could not be read. */
  readonly question: Uint8Array;
  /** Unset: no EDNS. Otherwise the longest answer over UDP that is welcome. */
  readonly ednsBytes?: number;
}

export interface Query extends QueryHead {
  readonly name: Name;
  readonly type: number;
}

/** A query, or what to answer to what is none. */
export type ParsedQuery =
  | { readonly kind: "query"; readonly query: Query }
  | { readonly kind: "refusal"; readonly head: QueryHead; readonly rcode: Rcode };

const OPCODE_MASK = 0x7800;
const CHECKING_DISABLED = 0x0010;
const RETURNED_FLAGS = OPCODE_MASK | FLAG.recursionDesired | CHECKING_DISABLED;
/** Flags that no query carries: an answer that is truncated, the reserved bit, any error code. */
const FORBIDDEN_FLAGS = FLAG.truncated | 0x0040 | 0x000f;
const OPT_HEAD_BYTES = 11;

/**
 * Parses one message. Undefined where no answer may be sent: what is too short for a header, and what is itself an
 * answer, since two servers could talk to each other for ever.
 */
export function parseQuery(message: Uint8Array): ParsedQuery | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const flags = view.getUint16(2);
  if ((flags & FLAG.response) !== 0) return undefined;
  const head: QueryHead = { id: view.getUint16(0), flags: flags & RETURNED_FLAGS, question: new Uint8Array() };
  if ((flags & OPCODE_MASK) !== 0) return { kind: "refusal", head, rcode: RCODE.notImplemented };
  try {
    return parseBody(message, view, head, flags);
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    return { kind: "refusal", head, rcode: RCODE.formatError };
  }
}

function parseBody(message: Uint8Array, view: DataView, bare: QueryHead, flags: number): ParsedQuery {
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((offset) => view.getUint16(offset));
  if (questions !== 1 || answers !== 0 || authorities !== 0 || (additionals ?? 0) > 1) {
    throw new MessageError("not one question and nothing else");
  }
  if ((flags & FORBIDDEN_FLAGS) !== 0) throw new MessageError("flags of an answer");
  const { name, end } = readName(message, HEADER_BYTES, false);
  if (end + 4 > message.length) throw new MessageError("a question without type or class");
  const [type, klass] = [view.getUint16(end), view.getUint16(end + 2)];
  const head: QueryHead = { ...bare, question: message.slice(HEADER_BYTES, end + 4) };
  const edns = additionals === 1 ? readOpt(message, view, end + 4) : undefined;
  if ((edns?.end ?? end + 4) !== message.length) throw new MessageError("bytes after the end");
  const full: QueryHead = edns === undefined ? head : { ...head, ednsBytes: edns.bytes };
  if (edns !== undefined && edns.version !== 0) return { kind: "refusal", head: full, rcode: RCODE.badVersion };
  if (klass !== CLASS_IN) return { kind: "refusal", head: full, rcode: RCODE.refused };
  // What is cached is nobody's business: only questions that want an answer are answered.
  if ((flags & FLAG.recursionDesired) === 0) return { kind: "refusal", head: full, rcode: RCODE.refused };
  return { kind: "query", query: { ...full, name, type } };
}

/** The one record that may follow: EDNS (RFC 6891 6.1). Its options must fit; none of them is heeded or passed on. */
function readOpt(message: Uint8Array, view: DataView, at: number): { bytes: number; version: number; end: number } {
  if (at + OPT_HEAD_BYTES > message.length) throw new MessageError("a record that is cut off");
  if (message[at] !== 0 || view.getUint16(at + 1) !== TYPE.OPT) throw new MessageError("a record that is not EDNS");
  const end = at + OPT_HEAD_BYTES + view.getUint16(at + 9);
  if (end > message.length) throw new MessageError("EDNS runs over the end");
  let option = at + OPT_HEAD_BYTES;
  while (option < end) {
    if (option + 4 > end) throw new MessageError("an option that is cut off");
    option += 4 + view.getUint16(option + 2);
  }
  if (option !== end) throw new MessageError("an option runs over the end");
  return { bytes: view.getUint16(at + 3), version: message[at + 6] ?? 0, end };
}
