// Requests with one thing odd about them: for each method every field of its request, at every depth.
import type { DescField, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { methodSchema } from "@sallyport/contracts/json";
import { fieldPaths, isAnyJson, oddValues } from "./values.ts";

/** A request with one thing odd about it. */
export interface BadCase {
  readonly method: string;
  /** The field of the request, at its top level, that is odd. */
  readonly field: string;
  /** e.g. "network.allow.cidrs: very many". */
  readonly what: string;
  /** No schema takes it: it must be refused, by the name of the field. */
  readonly malformed: boolean;
  readonly request: JsonObject;
  /** The JSON text, where the object cannot say it. */
  readonly text?: string;
}

/** A good request of a method, made anew for each case. */
export type Base = (method: string) => JsonObject;

/** Every case of a method. */
export function* badCases(method: string, base: Base): Generator<BadCase> {
  const { input } = methodSchema(method);
  for (const path of fieldPaths(input)) {
    const [top, last] = [path[0], path.at(-1)];
    if (top === undefined || last === undefined) continue;
    const name = path.map((field) => field.name).join(".");
    for (const { malformed, value, what } of oddValues(last)) {
      yield { method, field: top.name, what: `${name}: ${what}`, malformed, request: put(base(method), path, value) };
    }
    if (last.fieldKind === "message" && !isAnyJson(last.message)) {
      const request = put(base(method), path, { nope: 1 });
      yield { method, field: top.name, what: `${name}: unknown field in it`, malformed: true, request };
    }
    yield* rivals(method, path, base);
  }
  yield { method, field: "nope", what: "unknown field", malformed: true, request: { ...base(method), nope: 1 } };
  for (const key of ["__proto__", "constructor", "toString"]) {
    const request = JSON.parse(`{${JSON.stringify(key)}: 1}`) as JsonObject;
    const whole = JSON.stringify({ ...base(method), HERE: 1 }).replace(
      '"HERE":1',
      JSON.stringify(request).slice(1, -1),
    );
    yield { method, field: key, what: `unknown field ${key}`, malformed: true, request: base(method), text: whole };
  }
  yield* twice(method, base);
}

/** Two of a oneof. */
function* rivals(method: string, path: readonly DescField[], base: Base): Generator<BadCase> {
  const [top, last] = [path[0], path.at(-1)];
  const rival = last?.oneof?.fields.find((field) => field !== last);
  if (top === undefined || last === undefined || rival === undefined) return;
  const both = { [last.jsonName]: any(last), [rival.jsonName]: any(rival) };
  const above = path.slice(0, -1);
  const request = above.length === 0 ? { ...base(method), ...both } : put(base(method), above, both);
  yield { method, field: top.name, what: `${last.name} and ${rival.name}`, malformed: true, request };
}

/** The same field by both of its names, and one name twice. */
function* twice(method: string, base: Base): Generator<BadCase> {
  for (const field of methodSchema(method).input.fields) {
    const request = put(base(method), [field], any(field));
    const text = JSON.stringify(request);
    const again = (name: string) => `${text.slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(any(field))}}`;
    const { name } = field;
    yield { method, field: name, what: `${name}: twice`, malformed: true, request, text: again(field.jsonName) };
    if (name !== field.jsonName) {
      yield { method, field: name, what: `${name}: in both spellings`, malformed: true, request, text: again(name) };
    }
  }
}

function any(field: DescField): JsonValue {
  switch (field.fieldKind) {
    case "list":
      return [];
    case "map":
    case "message":
      return {};
    case "enum":
      return 1;
    case "scalar":
      return oddValues(field).find(({ malformed, what }) => !malformed && /empty|zero|true/.test(what))?.value ?? true;
  }
}

function put(request: JsonObject, path: readonly DescField[], value: JsonValue): JsonObject {
  const [field, ...rest] = path;
  if (field === undefined) return request;
  const { [field.name]: _, ...others } = request;
  // Rivals of a oneof make room.
  for (const rival of field.oneof?.fields ?? []) delete others[rival.jsonName];
  const inner = others[field.jsonName];
  const isObject = typeof inner === "object" && inner !== null && !Array.isArray(inner);
  const within = rest.length === 0 ? value : put(isObject ? inner : {}, rest, value);
  return { ...others, [field.jsonName]: rest.length > 0 && field.fieldKind === "list" ? [within] : within };
}
