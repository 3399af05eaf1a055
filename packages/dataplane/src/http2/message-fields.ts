// What fields of a message may be (RFC 9113, section 8.2; RFC 9110, section 5).
import type { HeaderField } from "./hpack/field.ts";
import { STATIC_NAMES } from "./hpack/static-table.ts";

/** A token without upper case. */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** What a value must not hold: control characters but HTAB, and blanks at its ends. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]|^[\t ]|[\t ]$/;
/** Of a connection of HTTP/1.1 (section 8.2.2). */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** What is wrong with a field that is no pseudo-header, if something is. */
export function fieldProblem({ name, value }: HeaderField): string | undefined {
  if (!STATIC_NAMES.has(name) && !NAME.test(name)) return "a field's name is none";
  if (NOT_IN_VALUE.test(value)) return "a field's value is none";
  if (CONNECTION_SPECIFIC.has(name)) return "a field is of connections of HTTP/1.1";
  if (name === "te" && value !== "trailers") return "TE says more than trailers";
  return undefined;
}

/** What is wrong with trailers (section 8.1). */
export function trailersProblem(fields: readonly HeaderField[]): string | undefined {
  for (const field of fields) {
    if (field.name.startsWith(":")) return "trailers have a pseudo-header";
    const problem = fieldProblem(field);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const DIGITS = /^[0-9]{1,15}$/;

/** Content-Length as it adds up to from field to field: NaN if it is no length, or another one than before. */
export function nextContentLength(before: number | undefined, value: string): number {
  const length = DIGITS.test(value) ? Number(value) : Number.NaN;
  return before === undefined || before === length ? length : Number.NaN;
}
