// Values that the wire can carry; whatever has no form there is InvalidArgument, and ranges are the api's to judge.
import { sdkError } from "./errors.ts";

/** The greatest number of a field of 32 bits. */
export const MAX_UINT32: number = 2 ** 32 - 1;

/** A number that the wire can carry: the range itself is the api's to judge. */
export function wholeNumber<T extends number | undefined>(field: string, value: T, max: number): T {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= max)) return value;
  throw sdkError("InvalidArgument", `${field}: ${value} is out of range`, { field });
}

/** A lone surrogate has no UTF-8 form: it would silently arrive as another character. */
export function wellFormed(field: string, text: string): void {
  if (text.isWellFormed()) return;
  throw sdkError("InvalidArgument", `${field}: holds a lone surrogate, which has no form in UTF-8`, { field });
}

/** A list of texts as it is; InvalidArgument for anything else. */
export function toTexts(texts: readonly string[] | undefined, field: string): string[] {
  if (texts === undefined) return [];
  if (!Array.isArray(texts)) throw sdkError("InvalidArgument", `${field}: is not a list`, { field });
  return Array.from(texts as readonly unknown[], (text, index) => {
    if (typeof text === "string") return text;
    throw sdkError("InvalidArgument", `${field}[${index}]: is not a text`, { field: `${field}[${index}]` });
  });
}
