// Field lines of a head or of trailers (RFC 9112, section 5): strict, for what one reader takes for a field and another
// for something else is how requests are smuggled.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { isFieldValue, skip, TOKEN } from "./characters.ts";

/** What is wrong with a field line. */
export type FieldProblem = "too-many" | "folded" | "name" | "value";

const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Reads the lines between `from` and `end`, each with its CRLF; `end` is where the empty line begins. A line that begins
 * with a blank is an obsolete fold (section 5.2), a blank before the colon another name for some (5.1): refused both.
 */
export function scanFields(text: string, from: number, end: number, maxCount: number): RawHeader[] | FieldProblem {
  const fields: RawHeader[] = [];
  let at = from;
  while (at < end) {
    if (fields.length === maxCount) return "too-many";
    const colon = skip(text, at, TOKEN);
    if (colon === at || text.charCodeAt(colon) !== COLON) {
      const first = text.charCodeAt(at);
      return first === SPACE || first === TAB ? "folded" : "name";
    }
    const valueStart = skipBlanks(text, colon + 1);
    const lineEnd = text.indexOf("\r", valueStart);
    if (lineEnd === -1 || lineEnd >= end || !isLineEnd(text, lineEnd)) return "value";
    const value = text.slice(valueStart, trimBlanks(text, valueStart, lineEnd));
    if (!isFieldValue(value)) return "value"; // a bare line feed, too
    fields.push([text.slice(at, colon), value]);
    at = lineEnd + 2;
  }
  return fields;
}

/** Whether CRLF stands here. */
export function isLineEnd(text: string, at: number): boolean {
  return text.charCodeAt(at) === 0x0d && text.charCodeAt(at + 1) === 0x0a;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === SPACE || text.charCodeAt(at) === TAB) at += 1;
  return at;
}

function trimBlanks(text: string, from: number, end: number): number {
  let at = end;
  while (at > from && (text.charCodeAt(at - 1) === SPACE || text.charCodeAt(at - 1) === TAB)) at -= 1;
  return at;
}
