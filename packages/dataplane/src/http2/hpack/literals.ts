// Header fields as literals that index nothing (RFC 7541, section 6.2.2), as text: each of its characters is an octet. Whoever
// writes the same names again and again keeps their text, and puts a block together without bytes of its own.
import { STATIC_NAMES } from "./static-table.ts";

/** `:status` of an answer, as whole as the static table has it. */
export function statusText(status: number): string {
  const value = String(status);
  const index = STATIC_NAMES.get(":status")?.values.get(value);
  return index === undefined ? nameText(":status") + valueText(value) : integerText(INDEXED, 7, index);
}

/** A field's name, in lower case; {@link valueText} of its value has to follow. */
export function nameText(name: string): string {
  const index = STATIC_NAMES.get(name)?.index;
  return index === undefined ? `\0${valueText(name)}` : integerText(WITHOUT_INDEXING, 4, index);
}

/** A field's value, or any other string: its characters as they are. */
export function valueText(value: string): string {
  return (value.length < LENGTHS.length ? LENGTHS[value.length] : integerText(0, 7, value.length)) + value;
}

/** That no dynamic table is used from here on (section 4.2): the beginning of a block. */
export const NO_TABLE_TEXT = "\x20";

const WITHOUT_INDEXING = 0x00;
const INDEXED = 0x80;
/** Of strings that are shorter than a prefix of seven bits counts. */
const LENGTHS: readonly string[] = Array.from({ length: 127 }, (_, length) => String.fromCharCode(length));

/** RFC 7541, section 5.1. `first`: the bits before the prefix. */
function integerText(first: number, prefixBits: number, value: number): string {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) return String.fromCharCode(first | value);
  let text = String.fromCharCode(first | mask);
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) text += String.fromCharCode((rest & 0x7f) | 0x80);
  return text + String.fromCharCode(rest);
}
