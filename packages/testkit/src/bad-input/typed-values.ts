// Values of JavaScript that the types of a field allow and its meaning does not, and good ones to put around them.
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { isAnyJson } from "./values.ts";

/** A value for one field, as a program with types could write it. */
export interface TypedValue {
  readonly what: string;
  readonly value: unknown;
}

const MANY = 20_000;

const TEXTS: readonly TypedValue[] = [
  ["empty", ""],
  ["very long", "x".repeat(300_000)],
  ["NUL", "a\0b"],
  ["control characters", "\u0007\u001b[2J\r\n"],
  ["not ASCII", "\u{1f4a5}\u202e"],
  ["half a character", "\ud800"],
  ["a path", "../../etc/passwd"],
  ["a key of every object", "constructor"],
  ["the prototype", "__proto__"],
  ["spaces", "  "],
  ["quotes", "'\";--"],
].map(([what = "", value]) => ({ what, value }));

const NUMBERS: readonly TypedValue[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -0,
  0,
  -1,
  0.5,
  1.5,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 63,
  1e300,
].map((value) => ({ what: Object.is(value, -0) ? "-0" : String(value), value }));

const JSON_VALUES: readonly TypedValue[] = [
  ...TEXTS,
  ...TEXTS.map(({ what, value }) => ({ what: `${what} as a name`, value: ownProperty(String(value), "v") })),
  ...NUMBERS,
  { what: "null", value: null },
  { what: "a list of many", value: Array.from({ length: MANY }, () => null) },
  { what: "60 deep", value: JSON.parse("[".repeat(60) + "]".repeat(60)) },
  { what: "very deep", value: JSON.parse("[".repeat(3_000) + "]".repeat(3_000)) },
];

/** The odd values of one field. A field of messages has none but their number: the fields within have theirs. */
export function typedValues(field: DescField): readonly TypedValue[] {
  switch (field.fieldKind) {
    case "list":
      return [
        { what: "none", value: [] },
        { what: "very many", value: Array.from({ length: MANY }, () => goodValue(field)) },
        ...(field.listKind === "message" ? [] : single(field)).map(({ what, value }) => ({
          what: `${what} in it`,
          value: [value],
        })),
      ];
    case "map":
      return [
        { what: "very many", value: Object.fromEntries(Array.from({ length: MANY }, (_, n) => [`k${n}`, "v"])) },
        ...TEXTS.map(({ what, value }) => ({ what: `${what} as a name`, value: ownProperty(String(value), "v") })),
        ...single(field).map(({ what, value }) => ({ what: `${what} in it`, value: { k: value } })),
      ];
    case "message":
      return isAnyJson(field.message) ? JSON_VALUES : [];
    case "enum":
      return [];
    case "scalar":
      return single(field);
  }
}

function single({ scalar }: DescField): readonly TypedValue[] {
  switch (scalar) {
    case undefined:
      return [];
    case ScalarType.STRING:
      return TEXTS;
    case ScalarType.BOOL:
      return [false, true].map((value) => ({ what: String(value), value }));
    case ScalarType.BYTES:
      return [
        { what: "none", value: new Uint8Array() },
        { what: "many", value: new Uint8Array(1_100_000).fill(7) },
      ];
    default:
      return NUMBERS;
  }
}

/** As JSON.parse makes it: a property, whatever its name. */
function ownProperty(name: string, value: string): object {
  return Object.defineProperty({}, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Values that no type of a program allows. */
export const UNTYPED: readonly TypedValue[] = [
  { what: "a number", value: 5 },
  { what: "a text", value: "x" },
  { what: "true", value: true },
  { what: "null", value: null },
  { what: "a function", value: () => "x" },
  { what: "a symbol", value: Symbol("x") },
  { what: "a bigint", value: 10n },
  { what: "an object", value: {} },
  { what: "an object without a prototype", value: Object.assign(Object.create(null) as object, { a: 1 }) },
  { what: "a list", value: [] },
  { what: "a list of lists", value: [[]] },
  { what: "a list of nothing", value: [undefined] },
];

/** A message with every field that has no choice, filled with plain values. */
export function goodMessage(desc: DescMessage): Record<string, unknown> {
  const plain = desc.fields.filter(({ oneof, fieldKind }) => oneof === undefined && fieldKind !== "list");
  return Object.fromEntries(plain.map((field) => [field.jsonName, goodValue(field)]));
}

/** A plain value for one field, or for one element of a list. */
function goodValue(field: DescField): unknown {
  if (field.message !== undefined) return goodMessage(field.message);
  if (field.fieldKind === "map") return {};
  switch (field.scalar) {
    case undefined:
      return undefined;
    case ScalarType.STRING:
      return "a";
    case ScalarType.BOOL:
      return true;
    case ScalarType.BYTES:
      return new Uint8Array(1);
    default:
      return 1;
  }
}
