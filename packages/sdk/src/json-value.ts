// Values of JSON, as callers hand them over: what JSON cannot say would silently vanish or become something else.
import { sdkError } from "./errors.ts";

/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Far deeper than any that the platform takes; deeper ones are refused before they exhaust the stack. */
const MAX_DEPTH = 64;
const SHOWN_CHARACTERS = 80;

/**
 * Throws `InvalidArgument` that names the place (`userMetadata.at[2]`) for what is no JSON: functions, symbols, bigints,
 * `undefined` within, numbers that are not finite, instances of classes, whatever has a `toJSON`. Half a character has no
 * form in UTF-8, and `__proto__` none as a key of an object that is read back.
 */
export function checkJson(field: string, value: unknown, depth = 0): void {
  if (depth > MAX_DEPTH) throw noJson(field, `is nested more than ${MAX_DEPTH} deep`);
  if (value === null || typeof value === "boolean") return;
  if (typeof value === "string") {
    checkText(field, value);
    return;
  }
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw noJson(field, "is a number that JSON cannot say");
    return;
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) checkJson(`${field}[${index}]`, value[index], depth + 1);
    return;
  }
  if (!isPlain(value)) throw noJson(field, "is no JSON value");
  for (const [key, member] of Object.entries(value)) {
    if (key === "__proto__") throw noJson(field, "has the key __proto__");
    checkText(field, key);
    checkJson(`${field}.${key}`, member, depth + 1);
  }
}

function checkText(field: string, text: string): void {
  if (!text.isWellFormed()) throw noJson(field, "holds a lone surrogate, which has no form in UTF-8");
}

/** An object whose JSON is its own members, also one of another realm. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || "toJSON" in value) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function noJson(path: string, problem: string): Error {
  const printable = path.replaceAll(/[^\x20-\x7e]/g, "?");
  const shown = printable.length > SHOWN_CHARACTERS ? `${printable.slice(0, SHOWN_CHARACTERS)}...` : printable;
  return sdkError("InvalidArgument", `${shown}: ${problem}`, {
    field: shown,
    hint: "pass strings, finite numbers, booleans, null, and lists and plain objects of these",
  });
}
