// User data: any JSON value of the caller's, as text that is safe in an HTTP header.

import { invalidArgument } from "./errors.ts";
import { USER_DATA_LIMIT } from "./limits.ts";

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * A value as ASCII JSON: no blanks, everything beyond printable ASCII as `\u` escapes, fewer than `USER_DATA_LIMIT`
 * characters. `undefined` is no user data. Throws `InvalidArgument` that names the field: for what is no JSON (and would
 * silently become `null`, or vanish), or with size and limit for what is too long.
 */
export function serializeUserData(value: unknown, field = "userMetadata"): string | undefined {
  if (value === undefined) return undefined;
  checkJson(value, field, field, 0);
  const text = JSON.stringify(value).replace(/[^\x20-\x7e]/g, escaped);
  if (text.length < USER_DATA_LIMIT) return text;
  throw invalidArgument(field, `${text.length} characters as ASCII JSON; fewer than ${USER_DATA_LIMIT} are allowed`);
}

/** What `X-Verified-User-Data` says; `undefined` for a request without. Throws `SyntaxError` for what is no JSON. */
export function parseUserData(text: string | undefined): Json | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as Json);
}

/** Whether a text is user data as `serializeUserData` writes it. */
export function isUserData(text: unknown): text is string {
  if (typeof text !== "string" || text.length >= USER_DATA_LIMIT || !/^[\x20-\x7e]+$/.test(text)) return false;
  try {
    return serializeUserData(JSON.parse(text)) === text;
  } catch {
    return false; // no JSON
  }
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function checkJson(value: unknown, path: string, field: string, depth: number): void {
  // Each level costs two characters at least, so what is deeper is too long, and may not even be written down.
  if (depth >= USER_DATA_LIMIT / 2) {
    const size = `nested more than ${USER_DATA_LIMIT / 2 - 1} deep`;
    throw invalidArgument(field, `${size}; as ASCII JSON fewer than ${USER_DATA_LIMIT} characters are allowed`);
  }
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1)
      checkJson(value[index], `${path}[${index}]`, field, depth + 1);
    return;
  }
  if (!isPlain(value)) throw invalidArgument(shortened(path), "is no JSON value");
  for (const [key, member] of Object.entries(value)) checkJson(member, `${path}.${key}`, field, depth + 1);
}

/** An object whose JSON is its own members: no class, no `toJSON`, no symbols in place of names. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || "toJSON" in value) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A path for a message: printable, and no longer than one wants to read. */
function shortened(path: string): string {
  const printable = path.replace(/[^\x20-\x7e]/g, escaped);
  return printable.length > 80 ? `${printable.slice(0, 80)}...` : printable;
}
