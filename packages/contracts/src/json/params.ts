// Fields of a request from a path and a query: text in, JSON out, each by the type that the schema gives its field.
import type { DescEnum, DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { fieldOf, reasonOf, SchemaError } from "./fault.ts";

/** The names and texts of a query, in order. */
export type Params = Iterable<readonly [name: string, text: string]>;

/**
 * Reads parameters: `name=text` for one value, repeated for a list, `name[key]=text` for a map. Enum values may be
 * written in lower case without their prefix (`stream=stdout`). Throws SchemaError for a name that the schema does not have.
 */
export function paramsToJson(desc: DescMessage, params: Params): JsonObject {
  const json = new Map<string, JsonValue>();
  for (const [name, text] of params) {
    const [, base, key] = /^([^[\]]+)\[([^\]]*)\]$/.exec(name) ?? [undefined, name, undefined];
    const field = fieldOf(desc, base ?? name);
    if (field === undefined || (key !== undefined) !== (field.fieldKind === "map") || field.message !== undefined) {
      throw new SchemaError({ field: name.slice(0, 64).replace(/[^\x21-\x7e]/g, "?"), reason: "is unknown" });
    }
    const value = jsonOf(field, text);
    const before = json.get(field.name);
    if (field.fieldKind === "map") json.set(field.name, withEntry(field, before, key ?? "", value));
    else if (field.fieldKind === "list") json.set(field.name, [...(Array.isArray(before) ? before : []), value]);
    else if (before !== undefined) throw new SchemaError({ field: field.name, reason: "is given twice" });
    else json.set(field.name, value);
  }
  return Object.fromEntries(json);
}

function withEntry(field: DescField, before: JsonValue | undefined, key: string, value: JsonValue): JsonObject {
  const entries = typeof before === "object" && before !== null ? Object.entries(before) : [];
  if (entries.some(([known]) => known === key)) {
    throw new SchemaError({ field: `${field.name}.${key.slice(0, 64)}`, reason: "is given twice" });
  }
  return Object.fromEntries([...entries, [key, value]]);
}

function jsonOf(field: DescField, text: string): JsonValue {
  if (field.enum !== undefined) return enumName(field.enum, text);
  if (field.scalar === ScalarType.BOOL) {
    if (text === "true" || text === "false") return text === "true";
    throw new SchemaError({ field: field.name, reason: reasonOf(field) });
  }
  return text; // ProtoJSON takes numbers as strings too
}

/** "stdout" and "OUTPUT_STREAM_STDOUT" are the same; what is neither is left to the schema to refuse. */
function enumName(desc: DescEnum, text: string): JsonValue {
  if (/^-?\d{1,10}$/.test(text)) return Number(text);
  const short = desc.values.find((value) => value.name === `${desc.sharedPrefix ?? ""}${text}`.toUpperCase());
  return short?.name ?? text;
}
