// Small judgements of request fields that several use-cases share. Each throws InvalidArgument that names the field.
import { invalidArgument } from "@sallyport/appkit/errors";
import type { IdKind } from "@sallyport/contracts";
import { ID_PREFIXES, isId, MAX_WAIT_MS } from "@sallyport/contracts";
import { isLabel } from "../domain/names.ts";

/** An id of this kind. */
export function checkId(kind: IdKind, field: string, text: string): string {
  if (isId(kind, text)) return text;
  throw invalidArgument(field, "is no id of this kind", `such ids are "${ID_PREFIXES[kind]}-" and 26 characters`);
}

/** The name of an app or a workspace. */
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
