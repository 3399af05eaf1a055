// Values that a field was not made for, by its type in proto/: of another type, too long, too many, out of range, or odd
// and legal.
import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";

/** A value for one field. */
export interface OddValue {
  readonly what: string;
  readonly value: JsonValue;
  /** No schema of this field takes it. */
  readonly malformed: boolean;
}

const LONG = "x".repeat(300_000);
const MANY = 200_000;

const TEXTS: readonly (readonly [string, string])[] = [
  ["empty", ""],
  ["very long", LONG],
  ["NUL", "a\0b"],
  ["control characters", "\u0007\u001b[2J\r\n"],
  ["not ASCII", "\u{1f4a5}\u202e"],
  ["a path", "../../etc/passwd"],
  ["a key of every object", "constructor"],
  ["spaces", "  "],
  ["quotes", "'\";--"],
];

const TYPES: readonly (readonly [string, JsonValue])[] = [
  ["a number", 5],
  ["true", true],
  ["a text", "x"],
  ["an array", []],
  ["an array of arrays", [[]]],
  ["an object", {}],
];

/** The odd values of one field. */
export function oddValues(field: DescField): OddValue[] {
  switch (field.fieldKind) {
    case "list":
      return [
        ...wrong((name) => !name.startsWith("an array")),
        odd("null in it", [null], true),
        odd(
          "very many",
          Array.from({ length: MANY }, () => sample(field)),
          false,
        ),
        ...single(field).map(({ malformed, value, what }) => odd(`${what} in it`, [value], malformed)),
      ];
    case "map":
      return [
        ...wrong((name) => name !== "an object"),
        odd("very many", Object.fromEntries(Array.from({ length: MANY / 4 }, (_, index) => [`k${index}`, "v"])), false),
        ...TEXTS.map(([what, text]) => odd(`${what} as a name`, { [text]: "v" }, false)),
        // As JSON.parse makes it: a property of its own.
        odd("the prototype as a name", JSON.parse('{"__proto__": "v"}') as JsonObject, true),
        odd("half a character as a name", { "\ud800": "v" }, true),
        ...single(field).map(({ malformed, value, what }) => odd(`${what} in it`, { k: value }, malformed)),
      ];
    case "message":
      if (isAnyJson(field.message)) return anyJson();
      return [...wrong((name) => name !== "an object"), odd("an object", {}, false)];
    case "scalar":
    case "enum":
      return single(field);
  }
}

/** The fields of a message, and of the messages in it and in its lists: each with the path that leads to it. */
export function* fieldPaths(desc: DescMessage, path: readonly DescField[] = []): Generator<readonly DescField[]> {
  for (const field of desc.fields) {
    const here = [...path, field];
    yield here;
    if (isOfMessages(field) && !isAnyJson(field.message) && !path.includes(field))
      yield* fieldPaths(field.message, here);
  }
}

/** Whether a message takes any JSON value: its own fields are no caller's business. */
export function isAnyJson(desc: DescMessage): boolean {
  return desc.typeName === "google.protobuf.Value";
}

function anyJson(): OddValue[] {
  return [
    ...TYPES.map(([what, value]) => odd(what, value, false)),
    ...TEXTS.map(([what, text]) => odd(what, text, false)),
    ...TEXTS.map(([what, text]) => odd(`${what} as a name`, { [text]: "v" }, false)),
    odd("null", null, false),
    odd("null in a list", [null], false),
    odd("huge", 1e300, false),
    odd("2^53", 9_007_199_254_740_992, false),
    odd("the prototype as a name", JSON.parse('{"__proto__": "v"}') as JsonObject, true),
    odd("the prototype as a name within", JSON.parse('[{"a": {"__proto__": 1}}]') as JsonValue, true),
    odd("half a character", "\ud800", true),
    odd("half a character as a name", { "\ud800": 1 }, true),
    odd("half a character within", { a: ["\udc00"] }, true),
    odd("very deep", JSON.parse("[".repeat(3_000) + "]".repeat(3_000)) as JsonValue, true),
    odd(
      "very many",
      Array.from({ length: MANY }, () => 1),
      true,
    ),
  ];
}

function isOfMessages(field: DescField): field is DescField & { message: DescMessage } {
  return field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message");
}

function single(field: DescField): OddValue[] {
  if (field.enum !== undefined) {
    return [
      ...wrong((name) => name !== "a number" && name !== "a text"),
      odd("a name that is none", "NOPE", true),
      odd("a number that is none", 99, false),
      odd("a negative number", -1, false),
      odd("a fraction", 1.5, true),
      odd("far too large", 1e12, true),
    ];
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return [
        ...wrong((name) => name !== "a text"),
        ...TEXTS.map(([what, text]) => odd(what, text, false)),
        odd("half a character", "\ud800", true),
      ];
    case ScalarType.BOOL:
      return [...wrong((name) => name !== "true"), odd("true as a text", "true", true)];
    case ScalarType.BYTES:
      return [
        ...wrong((name) => name !== "a text"),
        odd("no base64", "***", true),
        odd("empty", "", false),
        odd("too many", Buffer.alloc(1_100_000, 7).toString("base64"), false),
      ];
    default:
      return numbers(field.scalar === ScalarType.INT64 || field.scalar === ScalarType.UINT64);
  }
}

function numbers(isLong: boolean): OddValue[] {
  return [
    ...wrong((name) => name !== "a number"),
    odd("nothing", "", true),
    odd("NaN", "NaN", true),
    odd("Infinity", "Infinity", true),
    odd("a fraction", 1.5, true),
    odd("zero", 0, false),
    odd("minus one", -1, !isLong),
    odd("2^31", 2_147_483_648, false),
    odd("2^32", 4_294_967_296, !isLong),
    odd("2^53 + 1", "9007199254740993", true),
    odd("the least of 64 bits", "-9223372036854775808", true),
    odd("2^63", "9223372036854775808", true),
    odd("huge", 1e300, true),
    odd("hexadecimal", "0x10", false),
    odd("with spaces", " 5 ", false),
  ];
}

function wrong(isWrong: (name: string) => boolean): OddValue[] {
  return TYPES.filter(([name]) => isWrong(name)).map(([name, value]) => odd(`${name} instead`, value, true));
}

function odd(what: string, value: JsonValue, malformed: boolean): OddValue {
  return { what, value, malformed };
}

function sample(field: DescField): JsonValue {
  if (field.message !== undefined) return {};
  return field.scalar === ScalarType.STRING ? "a" : 1;
}
