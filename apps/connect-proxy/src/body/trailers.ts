// Trailers that may go on. Some readers merge them into the head: what a head alone may say is not theirs to say
// (RFC 9110, section 6.5.1), and what the proxy says of a client even less.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { kindOf } from "../head/field-names.ts";
import { flatName } from "../header-names.ts";

/** Names as the laxest reader sees them. */
const NEVER: ReadonlySet<string> = new Set([
  "authorization",
  "cache-control",
  "clear-site-data",
  "cookie",
  "cookie2",
  "date",
  "expires",
  "forwarded",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "location",
  "max-forwards",
  "origin",
  "pragma",
  "range",
  "referer",
  "refresh",
  "retry-after",
  "set-cookie",
  "set-cookie2",
  "strict-transport-security",
  "vary",
  "via",
  "warning",
  "www-authenticate",
  "x-real-ip",
  "x-request-id",
]);
const NEVER_BEGINNINGS: readonly string[] = [
  "access-control-",
  "alt-",
  "content-",
  "cross-origin-",
  "proxy-",
  "sec-",
  "transfer-",
  "x-forwarded-",
];

/** Without what may not stand there. */
export function endToEndTrailers(trailers: readonly RawHeader[]): readonly RawHeader[] {
  if (trailers.length === 0) return trailers;
  return trailers.filter(([name]) => {
    const flat = flatName(name);
    if (kindOf(name) !== undefined || kindOf(flat) !== undefined || NEVER.has(flat)) return false;
    return !flat.includes("x-verified-") && !NEVER_BEGINNINGS.some((beginning) => flat.startsWith(beginning));
  });
}
