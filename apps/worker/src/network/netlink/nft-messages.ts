// The messages of nf_tables that change a slot's rules: sets, elements, chains, rules. Pure. The base of the table is nft
// text; here is what changes often, and must cost the same with one slot or a thousand.

import {
  ACKNOWLEDGE,
  type Attribute,
  attribute,
  CREATE,
  type MessageOptions,
  message,
  nested,
  text,
  u32,
} from "./messages.ts";

const SUBSYSTEM = 10;
const FAMILY_INET = 1;
const FAMILY_UNSPEC = 0;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const BATCH_GENERATION = 1;

/** Messages of the subsystem. */
const NEW_CHAIN = 3;
const DELETE_CHAIN = 5;
const NEW_RULE = 6;
const NEW_SET = 9;
const DELETE_SET = 11;
const NEW_ELEMENTS = 12;
const GET_ELEMENTS = 13;
const DELETE_ELEMENTS = 14;
const GET_GENERATION = 16;

const LIST_ELEMENT = 1;
const DATA_VALUE = 1;
const DATA_VERDICT = 2;
const VERDICT_CODE = 1;
const VERDICT_CHAIN = 2;
const ELEMENT_KEY = 1;
const ELEMENT_DATA = 2;
const ELEMENT_FLAGS = 3;
const ELEMENT_KEY_END = 10;
const INTERVAL_END = 1;
const SET_INTERVAL = 0x04;
const SET_CONCATENATED = 0x80;
const VERDICT_CODES = { accept: 1, drop: 0, jump: -3, goto: -4 } as const;

/** Elements in one message: their list has 64 KiB, and the longest, both ends of an IPv6 range with ports, 80 bytes. */
const ELEMENTS_PER_MESSAGE = 512;

/** A part of a transaction, without its number. */
export type Part = Pick<MessageOptions, "type" | "flags" | "attributes">;

export type Verdict = "accept" | "drop" | { readonly goto: string } | { readonly jump: string };

/** A set of the table, by its name. */
export interface SetName {
  readonly table: string;
  readonly set: string;
}

export interface Element {
  readonly key: Buffer;
  /** For a map to marks or the like. */
  readonly value?: Buffer;
  /** For a map to verdicts. */
  readonly verdict?: Verdict;
}

/** From the first to the last key, both included. */
export interface KeyRange {
  readonly first: Buffer;
  readonly last: Buffer;
}

export function addElements(name: SetName, elements: readonly Element[]): Part[] {
  return elementParts(NEW_ELEMENTS, name, elements.map(elementOf));
}

export function deleteElements(name: SetName, keys: readonly Buffer[]): Part[] {
  return elementParts(
    DELETE_ELEMENTS,
    name,
    keys.map((key) => elementOf({ key })),
  );
}

/** Takes all elements out. */
export function flushSet({ table, set }: SetName): Part {
  return { type: typeOf(DELETE_ELEMENTS), flags: 0, attributes: [text(1, table), text(2, set)] };
}

/** Ranges into an interval set of one field: where each begins, and where it has ended. Disjoint and not touching. */
export function addRanges(name: SetName, ranges: readonly KeyRange[]): Part[] {
  const elements = ranges.flatMap(({ first, last }) => {
    const after = next(last);
    const begin = nested(LIST_ELEMENT, [value(ELEMENT_KEY, first)]);
    return after === undefined
      ? [begin]
      : [begin, nested(LIST_ELEMENT, [value(ELEMENT_KEY, after), u32(ELEMENT_FLAGS, INTERVAL_END)])];
  });
  return elementParts(NEW_ELEMENTS, name, elements);
}

/** Ranges into a concatenated interval set. Disjoint. */
export function addBoxes(name: SetName, boxes: readonly KeyRange[]): Part[] {
  const elements = boxes.map(({ first, last }) =>
    nested(LIST_ELEMENT, [value(ELEMENT_KEY, first), value(ELEMENT_KEY_END, last)]),
  );
  return elementParts(NEW_ELEMENTS, name, elements);
}

export interface NewSet extends SetName {
  /** nft's number of the type, for whoever lists the table. */
  readonly keyType: number;
  /** Bytes of each field; one field is a plain interval set, more are a concatenated one. */
  readonly fields: readonly number[];
  /** Unique in the transaction. */
  readonly id: number;
}

export function newSet({ table, set, keyType, fields, id }: NewSet): Part {
  const concatenated = fields.length > 1;
  const lengths = fields.map((length) => nested(LIST_ELEMENT, [u32(1, length)]));
  return {
    type: typeOf(NEW_SET),
    flags: CREATE,
    attributes: [
      text(1, table),
      text(2, set),
      u32(3, concatenated ? SET_INTERVAL | SET_CONCATENATED : SET_INTERVAL),
      u32(4, keyType),
      u32(5, concatenated ? fields.reduce((sum, length) => sum + registers(length) * 4, 0) : (fields[0] ?? 0)),
      ...(concatenated ? [nested(9, [nested(2, lengths)])] : []),
      u32(10, id),
    ],
  };
}

export function deleteSet({ table, set }: SetName): Part {
  return { type: typeOf(DELETE_SET), flags: 0, attributes: [text(1, table), text(2, set)] };
}

export function newChain(table: string, chain: string): Part {
  return { type: typeOf(NEW_CHAIN), flags: CREATE, attributes: [text(1, table), text(3, chain)] };
}

/** With its rules. */
export function deleteChain(table: string, chain: string): Part {
  return { type: typeOf(DELETE_CHAIN), flags: 0, attributes: [text(1, table), text(3, chain)] };
}

export function newRule(table: string, chain: string, expressions: readonly Attribute[]): Part {
  return {
    type: typeOf(NEW_RULE),
    flags: CREATE | APPEND,
    attributes: [text(1, table), text(2, chain), nested(4, expressions)],
  };
}

const APPEND = 0x800;

/**
 * A whole transaction. Each part is acknowledged by its place, counted from 1.
 *
 * @param generation refuses all of it where anybody has changed a rule since.
 */
export function batch(parts: readonly Part[], generation?: number): Buffer {
  const edge = (type: number, sequence: number, attributes: readonly Attribute[]): Buffer =>
    message({ type, flags: 0, family: FAMILY_UNSPEC, resource: SUBSYSTEM, sequence, attributes });
  const guard = generation === undefined ? [] : [u32(BATCH_GENERATION, generation)];
  return Buffer.concat([
    edge(BATCH_BEGIN, 0, guard),
    ...parts.map((part, index) =>
      message({ ...part, flags: part.flags | ACKNOWLEDGE, family: FAMILY_INET, sequence: index + 1 }),
    ),
    edge(BATCH_END, parts.length + 1, []),
  ]);
}

/** Asks for the number of the transaction that the namespace's rules come from. */
export function getGeneration(): Buffer {
  return message({ type: typeOf(GET_GENERATION), flags: 0, family: FAMILY_UNSPEC, sequence: 1, attributes: [] });
}

/** Asks for one element. */
export function getElement(name: SetName, key: Buffer): Buffer {
  return message({
    type: typeOf(GET_ELEMENTS),
    flags: 0,
    family: FAMILY_INET,
    sequence: 1,
    attributes: [text(1, name.table), text(2, name.set), nested(3, [elementOf({ key })])],
  });
}

export function verdictData(type: number, verdict: Verdict): Attribute {
  const [code, chain] = verdictParts(verdict);
  const target = chain === undefined ? [] : [text(VERDICT_CHAIN, chain)];
  return nested(type, [nested(DATA_VERDICT, [u32(VERDICT_CODE, code), ...target])]);
}

function verdictParts(verdict: Verdict): readonly [code: number, chain: string | undefined] {
  if (typeof verdict === "string") return [VERDICT_CODES[verdict], undefined];
  return "goto" in verdict ? [VERDICT_CODES.goto, verdict.goto] : [VERDICT_CODES.jump, verdict.jump];
}

export function value(type: number, bytes: Buffer): Attribute {
  return nested(type, [attribute(DATA_VALUE, bytes)]);
}

/** How many of the machine's registers, of 32 bits each, a field takes. */
export function registers(bytes: number): number {
  return Math.ceil(bytes / 4);
}

function elementOf(element: Element): Attribute {
  return nested(LIST_ELEMENT, [
    value(ELEMENT_KEY, element.key),
    ...(element.value === undefined ? [] : [value(ELEMENT_DATA, element.value)]),
    ...(element.verdict === undefined ? [] : [verdictData(ELEMENT_DATA, element.verdict)]),
  ]);
}

function elementParts(messageType: number, { table, set }: SetName, elements: readonly Attribute[]): Part[] {
  const parts: Part[] = [];
  for (let from = 0; from < elements.length; from += ELEMENTS_PER_MESSAGE) {
    parts.push({
      type: typeOf(messageType),
      flags: messageType === NEW_ELEMENTS ? CREATE : 0,
      attributes: [text(1, table), text(2, set), nested(3, elements.slice(from, from + ELEMENTS_PER_MESSAGE))],
    });
  }
  return parts;
}

/** The key after this one; undefined after the very last. */
function next(key: Buffer): Buffer | undefined {
  const after = Buffer.from(key);
  for (let at = after.length - 1; at >= 0; at -= 1) {
    const digit = after.readUInt8(at);
    after.writeUInt8((digit + 1) & 0xff, at);
    if (digit !== 0xff) return after;
  }
  return undefined;
}

function typeOf(messageType: number): number {
  return (SUBSYSTEM << 8) | messageType;
}
