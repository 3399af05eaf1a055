// Text of strangers as it stands in a line of a log: JSON in ASCII alone, short, and nothing that a terminal would obey.
import { isTunnelLabel } from "@sallyport/contracts";
import { ACCESS_LOG_TEXT_CHARACTERS } from "./edge-limits.ts";

/** Something that JSON would have to escape, or a terminal would obey. */
const UNSAFE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

/** A JSON string of at most {@link ACCESS_LOG_TEXT_CHARACTERS} characters; `null` of what is not there. */
export function logText(value: string | undefined): string {
  if (value === undefined) return "null";
  const short = value.length > ACCESS_LOG_TEXT_CHARACTERS ? value.slice(0, ACCESS_LOG_TEXT_CHARACTERS) : value;
  return UNSAFE.test(short) ? escaped(short) : `"${short}"`;
}

/** Enough of a label to tell it from others, and too little to guess the rest. */
const SHOWN_CHARACTERS = 7;

/** A host as it may stand in a log: who knows the label of a tunnel may come; the id of a sandbox opens nothing. */
export function hostInLog(host: string): string {
  const [label = ""] = host.split(".", 1);
  return isTunnelLabel(label) ? `${label.slice(0, SHOWN_CHARACTERS)}*${host.slice(label.length)}` : host;
}

function escaped(value: string): string {
  const code = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, code);
}
