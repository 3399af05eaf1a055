// What is wrong with a request that does not fit its schema, and where. Values are never repeated: some are secrets.
import type { DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";
import { fromJson, ScalarType } from "@bufbuild/protobuf";

/** A request that does not fit its schema. */
export interface Fault {
  /** The path of the field in proto spelling, e.g. "network.allow.cidrs[2]"; undefined where the whole is at fault. */
  readonly field: string | undefined;
  /** e.g. "must be a string". */
  readonly reason: string;
}

/** A request that does not fit its schema. */
export class SchemaError extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.field === undefined ? fault.reason : `${fault.field}: ${fault.reason}`);
    this.name = "SchemaError";
    this.fault = fault;
  }
}

/** Where a JSON value, which the schema does not accept, is at fault. */
export function locate(desc: DescMessage, json: JsonValue, path = ""): Fault {
  if (isWellKnown(desc)) return { field: path, reason: wellKnownReason(desc) };
  if (!isObject(json)) return { field: path === "" ? undefined : path, reason: "must be a JSON object" };
  const seen = new Set<string>();
  for (const [key, value] of Object.entries(json)) {
    const field = fieldOf(desc, key);
    if (field === undefined) return { field: join(path, key), reason: "is unknown" };
    const name = join(path, field.name);
    if (seen.has(field.name)) return { field: name, reason: "is given twice" };
    seen.add(field.name);
    const rival = field.oneof?.fields.find((other) => other !== field && seen.has(other.name));
    if (rival !== undefined && value !== null) return { field: name, reason: `excludes ${rival.name}` };
    if (!fits(desc, { [key]: value })) return locateValue(field, value, name);
  }
  return { field: path === "" ? undefined : path, reason: "does not fit its schema" };
}

function locateValue(field: DescField, value: JsonValue, path: string): Fault {
  switch (field.fieldKind) {
    case "message":
      return locate(field.message, value, path);
    case "list": {
      if (!Array.isArray(value)) return { field: path, reason: "must be a JSON array" };
      const index = value.findIndex((entry) => !fits(field.parent, { [field.name]: [entry] }));
      const entry = value[index];
      const name = `${path}[${index}]`;
      if (field.listKind === "message" && entry !== undefined) return locate(field.message, entry, name);
      return { field: name, reason: reasonOf(field) };
    }
    case "map": {
      if (!isObject(value)) return { field: path, reason: "must be a JSON object" };
      const [key, entry] =
        Object.entries(value).find(([name, one]) => !fits(field.parent, { [field.name]: { [name]: one } })) ?? [];
      const name = key === undefined ? path : join(path, key);
      if (field.mapKind === "message" && entry !== undefined) return locate(field.message, entry, name);
      return { field: name, reason: reasonOf(field) };
    }
    case "scalar":
    case "enum":
      return { field: path, reason: reasonOf(field) };
  }
}

/** What a single value of a field must be. */
export function reasonOf(field: DescField): string {
  if (field.enum !== undefined) return `must be one of ${field.enum.values.map((value) => value.name).join(", ")}`;
  if (field.message !== undefined) return "must be a JSON object";
  return SCALARS[field.scalar ?? ScalarType.STRING] ?? "has the wrong type";
}

const SCALARS: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: "must be a string of well-formed Unicode",
  [ScalarType.BOOL]: "must be true or false",
  [ScalarType.BYTES]: "must be a string of base64",
  [ScalarType.INT32]: "must be a whole number of 32 bits",
  [ScalarType.UINT32]: "must be a whole number of 0 to 4294967295",
  [ScalarType.INT64]: "must be a whole number of 64 bits, as a number or a string",
  [ScalarType.UINT64]: "must be a whole number of 64 bits from 0, as a number or a string",
  [ScalarType.DOUBLE]: "must be a number",
  [ScalarType.FLOAT]: "must be a number",
};

/** The field of a message by either of its spellings. */
export function fieldOf(desc: DescMessage, key: string): DescField | undefined {
  return desc.fields.find((field) => field.name === key || field.jsonName === key);
}

function fits(desc: DescMessage, json: JsonValue): boolean {
  try {
    fromJson(desc, json);
    return true;
  } catch {
    return false; // that is the question
  }
}

function isWellKnown(desc: DescMessage): boolean {
  return desc.typeName.startsWith("google.protobuf.");
}

function wellKnownReason(desc: DescMessage): string {
  return desc.name === "Timestamp" ? "must be a time as RFC 3339 writes it" : "does not fit its schema";
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** Names of the caller's making are shortened and kept printable. */
function join(path: string, name: string): string {
  const shown = name.slice(0, 64).replace(/[^\x21-\x7e]/g, "?");
  return path === "" ? shown : `${path}.${shown}`;
}
