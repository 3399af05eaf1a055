// Small judgements of request fields that several use-cases share. Each throws InvalidArgument that names the field.
import { invalidArgument } from "@sallyport/appkit/errors";
import type { IdKind } from "@sallyport/contracts";
import { ID_PREFIXES, isId, MAX_WAIT_MS } from "@sallyport/contracts";
import { MAX_TAG_VALUE_CHARACTERS, MAX_TAGS } from "../domain/limits.ts";
import { characterCount, hasControlCharacters, isLabel, isTagKey, quotedName } from "../domain/names.ts";

/** An id of this kind. */
export function checkId(kind: IdKind, field: string, text: string): string {
  if (isId(kind, text)) return text;
  throw invalidArgument(field, "is no id of this kind", `such ids are "${ID_PREFIXES[kind]}-" and 26 characters`);
}

/** The name of an app, a workspace or a sandbox. */
export function checkLabel(field: string, text: string): string {
  if (isLabel(text)) return text;
  throw invalidArgument(field, "must be 1 to 63 of a-z, 0-9 and -");
}

/** A whole number within a range; what holds when it is unset. */
export function checkNumber(
  field: string,
  value: number | undefined,
  range: { readonly min: number; readonly max: number; readonly unset: number },
): number {
  const number = value ?? range.unset;
  if (Number.isInteger(number) && number >= range.min && number <= range.max) return number;
  throw invalidArgument(field, `must be ${range.min} to ${range.max}`);
}

/** How long a call may wait. */
export function checkWait(waitMs: number): number {
  return checkNumber("wait_ms", waitMs, { min: 0, max: MAX_WAIT_MS, unset: 0 });
}

/** A number within a range, where it is set. */
export function checkOptional(
  field: string,
  value: number | undefined,
  range: { readonly min: number; readonly max: number },
): number | undefined {
  return value === undefined ? undefined : checkNumber(field, value, { ...range, unset: 0 });
}

/** Tags, in the order of their keys. */
export function checkTags(tags: ReadonlyMap<string, string>): Record<string, string> {
  if (tags.size > MAX_TAGS) throw invalidArgument("tags", `must be at most ${MAX_TAGS}`);
  const pairs = [...tags].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of pairs) {
    const field = `tags.${quotedName(key)}`;
    if (!isTagKey(key)) throw invalidArgument(field, "keys must be 1 to 63 of A-Z, a-z, 0-9, ., _, / and -");
    if (characterCount(value) > MAX_TAG_VALUE_CHARACTERS) {
      throw invalidArgument(field, `must have at most ${MAX_TAG_VALUE_CHARACTERS} characters`);
    }
    if (hasControlCharacters(value)) throw invalidArgument(field, "must hold no control character");
  }
  return Object.fromEntries(pairs);
}
