// Requests from strict JSON, answers to JSON, by the rules of ProtoJSON (https://protobuf.dev/programming-guides/json/).
import type { DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { create, fromBinary, fromJsonString, mergeFromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { fieldOf, locate, SchemaError } from "./fault.ts";
import { registry } from "./registry.ts";
import { messageFault } from "./wire.ts";

/** A request as HTTP carries it. */
export interface JsonRequest {
  /** JSON text: one object. None when undefined. */
  readonly body?: string | undefined;
  /** Fields from elsewhere, path and query, which the body must not repeat. */
  readonly params: JsonObject;
}

/** The wire bytes of a request. Throws SchemaError for what the schema does not know or accept. */
export function requestFromJson(desc: DescMessage, { body, params }: JsonRequest): Uint8Array {
  const message = body === undefined ? create(desc) : parse(desc, body);
  const given = reflect(desc, message);
  for (const field of desc.fields) {
    if (Object.hasOwn(params, field.name) && given.isSet(field)) {
      throw new SchemaError({ field: field.name, reason: "is in the path, and must not be in the body too" });
    }
  }
  try {
    return toBinary(desc, mergeFromJson(desc, message, params));
  } catch {
    throw new SchemaError(locate(desc, params));
  }
}

function parse(desc: DescMessage, text: string): ReturnType<typeof create> {
  const json = parseText(text);
  try {
    const message = fromJsonString(desc, text);
    // Half a character passes where any JSON does, and would be another one on the wire.
    const fault = HALF_CHARACTER.test(text) ? messageFault(desc, message) : undefined;
    if (fault === undefined) return message;
    throw new SchemaError(fault);
  } catch (error) {
    if (error instanceof SchemaError) throw error;
    // JSON.parse keeps the last of two members of one name, so these are told by the strict parser alone.
    const [, twice] = error instanceof Error ? (/duplicate .*?"([A-Za-z0-9_]{1,64})"/i.exec(error.message) ?? []) : [];
    if (twice !== undefined)
      throw new SchemaError({ field: fieldOf(desc, twice)?.name ?? twice, reason: "is given twice in one object" });
    throw new SchemaError(locate(desc, json));
  }
}

/** As JSON writes it; UTF-8 has no way to. */
const HALF_CHARACTER = /\\u[dD][89a-fA-F]/;

function parseText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    // The reason that JSON.parse gives repeats what it read.
    throw new SchemaError({ field: undefined, reason: "the body is no valid JSON" });
  }
}

/** An answer as JSON: lowerCamelCase, zero values included, whole numbers of 64 bits as strings, bytes as base64. */
export function messageToJson(desc: DescMessage, bytes: Uint8Array): JsonObject {
  return toJson(desc, fromBinary(desc, bytes), { alwaysEmitImplicit: true, registry }) as JsonObject;
}

/** What an event of a stream is called: the case of the message's oneof; "message", as EventSource has it, without one. */
export function eventName(desc: DescMessage, json: JsonObject): string {
  const cases = desc.oneofs.flatMap((oneof) => oneof.fields.map((field) => field.jsonName));
  return cases.find((name) => Object.hasOwn(json, name)) ?? "message";
}
