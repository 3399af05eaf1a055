// The headers of an answer as the client gets them. Whoever owns the app may want to harm a sibling, to keep the token of
// a person who comes, or to give orders to whatever stands in front of the platform.

import type { RawHeader } from "@sallyport/connect-token/verify";
import { cleanClearSiteData, cleanSetCookie } from "./cookies.ts";
import type { AnswerRules } from "./exchange.ts";
import type { AnswerHead } from "./head/answer-head.ts";
import type { HeaderLines } from "./head/write-head.ts";
import { answerLinesOf } from "./head/write-head.ts";
import { rememberedByName } from "./header-names.ts";

export interface AnswerOptions {
  /** Whether an app may have a service worker for its whole host. */
  readonly rootServiceWorkers: boolean;
}

type Fate = "keep" | "drop" | "set-cookie" | "clear-site-data" | "cache-control" | "referrer-policy" | "scope";

const FATES: Readonly<Record<string, Fate>> = {
  "set-cookie": "set-cookie",
  "clear-site-data": "clear-site-data",
  "cache-control": "cache-control",
  "referrer-policy": "referrer-policy",
  "service-worker-allowed": "scope",
  // The proxy's own stands there.
  "x-request-id": "drop",
  // Old clients' cookies, in a grammar of their own (RFC 2965).
  "set-cookie2": "drop",
  // Would lead later requests for this host, tokens and all, to another server (RFC 7838).
  "alt-svc": "drop",
  "alternate-protocol": "drop",
  // Has the browser report the addresses of all later requests, links with tokens among them, to whom the app names.
  nel: "drop",
  // Has the browser show a stored answer under a link with a token, so that the page's scripts read it there.
  "no-vary-search": "drop",
  // Pins of keys outlive the app; browsers that still obey them lock people out.
  "public-key-pins": "drop",
  "public-key-pins-report-only": "drop",
  // Belongs to the next proxy, and this one asks for nothing.
  "proxy-authenticate": "drop",
  "proxy-authentication-info": "drop",
  // Orders to web servers and caches in front: these are the operator's.
  "x-accel-redirect": "drop",
  "x-accel-expires": "drop",
  "x-sendfile": "drop",
  "x-lighttpd-send-file": "drop",
  "x-reproxy-url": "drop",
  "surrogate-control": "drop",
  "cdn-cache-control": "drop",
};

const fateOf = rememberedByName<Fate>((name) => {
  const lower = name.toLowerCase();
  return Object.hasOwn(FATES, lower) ? (FATES[lower] ?? "drop") : "keep";
});

/** Policies under which no address with a query goes to another origin. */
const QUIET_POLICIES: ReadonlySet<string> = new Set([
  "no-referrer",
  "origin",
  "origin-when-cross-origin",
  "same-origin",
  "strict-origin",
  "strict-origin-when-cross-origin",
]);

/**
 * The app's end-to-end headers as the client gets them. Answers in between (1xx) are only cleaned; the final one, 101
 * included, also gets the request's id, and what a token in query or cookie calls for.
 */
export function answerHeaders(
  rules: AnswerRules,
  status: number,
  headers: readonly RawHeader[],
  options: AnswerOptions,
): RawHeader[] {
  const result = withoutId(rules, status, headers, options);
  if (hasId(status)) result.push(["X-Request-Id", rules.requestId]);
  return result;
}

/** The same of a head, as lines; of one that comes again with nothing to add but the id, they are put together once. */
export function answerLines(rules: AnswerRules, head: AnswerHead, options: AnswerOptions): HeaderLines {
  const { endToEnd, notes, status } = head;
  const isPlain = rules.carrier === "authorization" && rules.setCookies.length === 0 && hasId(status);
  if (!isPlain) return answerLinesOf(answerHeaders(rules, status, endToEnd, options));
  notes.lines ??= answerLinesOf(withoutId(rules, status, endToEnd, options));
  const { isDated, text } = notes.lines;
  return { text: `${text}X-Request-Id: ${rules.requestId}\r\n`, isDated };
}

function hasId(status: number): boolean {
  return status >= 200 || status === 101;
}

function withoutId(
  rules: AnswerRules,
  status: number,
  headers: readonly RawHeader[],
  options: AnswerOptions,
): RawHeader[] {
  const result: RawHeader[] = [];
  const policies: RawHeader[] = [];
  let cacheControl = false;
  for (const header of headers) {
    const [name, value] = header;
    const fate = fateOf(name);
    if (fate === "keep") result.push(header);
    else if (fate === "set-cookie") pushIfAny(result, header, cleanSetCookie(value));
    else if (fate === "clear-site-data") pushIfAny(result, header, cleanClearSiteData(value));
    else if (fate === "referrer-policy") policies.push(header);
    else if (fate === "scope" && options.rootServiceWorkers) result.push(header);
    else if (fate === "cache-control") {
      cacheControl ||= value.trim() !== "";
      result.push(header);
    }
  }
  if (rules.carrier === "query" && !policies.every(([, value]) => isQuiet(value))) policies.length = 0;
  if (policies.length > 0) result.push(...policies);
  if (!hasId(status)) return result;
  for (const cookie of rules.setCookies) result.push(["Set-Cookie", cookie]);
  if (rules.carrier === "query" && policies.length === 0) result.push(["Referrer-Policy", "no-referrer"]);
  // A cache that many share must not keep an answer by its address alone: what opened it is not in there, or is in there
  // for all to find. Whatever comes with an Authorization no such cache keeps by itself (RFC 9111, section 3.5).
  if (rules.carrier !== "authorization" && !cacheControl) result.push(["Cache-Control", "private"]);
  return result;
}

function pushIfAny(result: RawHeader[], header: RawHeader, value: string | undefined): void {
  if (value !== undefined) result.push(value === header[1] ? header : [header[0], value]);
}

/** Whether every policy of a list is quiet: browsers take the last one that they know. */
function isQuiet(value: string): boolean {
  return value.split(",").every((policy) => QUIET_POLICIES.has(policy.trim().toLowerCase()));
}
