// Text of strangers as it stands in a line of a log: JSON in ASCII alone, short, and nothing that a terminal would obey.
import { ACCESS_LOG_TEXT_CHARACTERS } from "./edge-limits.ts";

/** Something that JSON would have to escape, or a terminal would obey. */
const UNSAFE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

/** A JSON string of at most {@link ACCESS_LOG_TEXT_CHARACTERS} characters; `null` of what is not there. */
export function logText(value: string | undefined): string {
  if (value === undefined) return "null";
  const short = value.length > ACCESS_LOG_TEXT_CHARACTERS ? value.slice(0, ACCESS_LOG_TEXT_CHARACTERS) : value;
  return UNSAFE.test(short) ? escaped(short) : `"${short}"`;
}

function escaped(value: string): string {
  const code = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, code);
}
