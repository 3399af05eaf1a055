// Heads and trailers of answers as header blocks. No table is used: a field that is the same in each answer is a few octets of
// encryption, and a table of each connection would cost more.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { nameText, statusText, valueText } from "@sallyport/dataplane/http2";
import { isFieldValue } from "../head/characters.ts";
import { hasDate, problemOfName } from "../head/write-head.ts";
import { rememberedByName } from "../header-names.ts";
import { httpDate } from "../http1/http-date.ts";

/** An interim answer's block, as text. Throws `TypeError` for headers that must not be written. */
export function interimBlock(status: number, headers: readonly RawHeader[]): string {
  return statusOf(status) + fieldsOf(headers);
}

/** An answer's block, as text, with its length, and a date if it has none: `nowMs` since the epoch. Throws as {@link interimBlock} does. */
export function answerBlock(
  status: number,
  headers: readonly RawHeader[],
  length: number | undefined,
  nowMs: number,
): string {
  const date = hasDate(headers) ? "" : DATE_NAME + valueText(httpDate(nowMs));
  const fields = statusOf(status) + fieldsOf(headers) + date;
  return length === undefined ? fields : fields + LENGTH_NAME + valueText(String(length));
}

/** Trailers' block, as text. Throws as {@link interimBlock} does. */
export function trailersBlock(trailers: readonly RawHeader[]): string {
  return fieldsOf(trailers);
}

const DATE_NAME = nameText("date");
const LENGTH_NAME = nameText("content-length");
const STATUSES = new Map<number, string>();

/** There are at most 500 of them. */
function statusOf(status: number): string {
  const known = STATUSES.get(status);
  if (known !== undefined) return known;
  const text = statusText(status);
  STATUSES.set(status, text);
  return text;
}

function fieldsOf(headers: readonly RawHeader[]): string {
  let text = "";
  for (const [name, value] of headers) {
    const begin = beginOf(name);
    if (begin === "") throw new TypeError(`${name} is no header, or the proxy's own to write`);
    if (!isFieldValue(value)) throw new TypeError(`the value of ${name} holds a control character`);
    text += begin + valueText(value);
  }
  return text;
}

/** Empty: it must not be written (RFC 9113, section 8.2.2). */
const beginOf = rememberedByName((name) => (problemOfName(name) === "" ? nameText(name.toLowerCase()) : ""));
