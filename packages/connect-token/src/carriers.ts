// Where a request carries its connect token, and the request without it.

import { TOKEN_PREFIX } from "./compact.ts";
import { takeFromCookies, trimBlanks } from "./cookies.ts";
import { ConnectTokenError } from "./errors.ts";
import type { Found } from "./found.ts";
import { takeFromQuery } from "./query.ts";
import { COOKIE_NAMES, TOKEN_NAMES } from "./wire.ts";

/** A header as it came: its name in any case, its value as latin1. */
export type RawHeader = readonly [name: string, value: string];

/** What brought the token. */
export type Carrier = "authorization" | "query" | "cookie";

export interface TakenToken {
  /** Unverified. Undefined: the request carries none. */
  readonly token: string | undefined;
  readonly carrier: Carrier | undefined;
  /** Of the query parameter or cookie that brought it. */
  readonly name: string | undefined;
  /** The target without the token; the very same string if it held none. */
  readonly target: string;
  /** The headers without the token; the very same list if they held none. */
  readonly headers: readonly RawHeader[];
  /** Names of the token's cookies that came, each once: for whoever sets new ones. */
  readonly cookies: readonly string[];
}

/**
 * Takes the token out of a request. Of several carriers the first of these counts:
 *
 * 1. `Authorization: Bearer`, if it holds a connect token. Another bearer's token is the app's own business and stays; it
 *    counts as the request's (bad) connect token only if there is no other.
 * 2. The query: `_connect_token`, then `_modal_connect_token`.
 * 3. Cookies: `__Host-_connect_token`, `__Host-_modal_connect_token`, `_connect_token`, `_modal_connect_token`.
 *
 * All of them are taken out, whichever counts, and the query's names out of a `Referer` too; everything else stays byte
 * for byte. Throws `Ambiguous` if what counts is there twice and differs, or if a bearer is not the only `Authorization`.
 */
export function takeConnectToken(target: string, headers: readonly RawHeader[]): TakenToken {
  const query = takeFromQuery(target);
  const taken = takeFromHeaders(headers);
  const cookies = taken.cookies.length === 0 ? NO_NAMES : [...new Set(taken.cookies.map(({ name }) => name))];
  const rest = { target: query.rest, headers: taken.headers, cookies };
  const token = taken.bearer;
  if (token?.startsWith(TOKEN_PREFIX) === true) return { ...rest, token, carrier: "authorization", name: undefined };
  const inQuery = preferred(query.found, TOKEN_NAMES);
  if (inQuery !== undefined) return { ...rest, token: inQuery.value, carrier: "query", name: inQuery.name };
  const inCookie = preferred(taken.cookies, COOKIE_NAMES);
  if (inCookie !== undefined) return { ...rest, token: inCookie.value, carrier: "cookie", name: inCookie.name };
  return { ...rest, token, carrier: token === undefined ? undefined : "authorization", name: undefined };
}

/** Node's flat `rawHeaders` as pairs. */
export function pairHeaders(rawHeaders: readonly string[]): RawHeader[] {
  const pairs: RawHeader[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? "", rawHeaders[index + 1] ?? ""]);
  }
  return pairs;
}

const NO_NAMES: readonly string[] = [];
const NO_COOKIES: readonly Found[] = [];

interface TakenHeaders {
  readonly bearer: string | undefined;
  readonly cookies: readonly Found[];
  readonly headers: readonly RawHeader[];
}

function takeFromHeaders(headers: readonly RawHeader[]): TakenHeaders {
  let kept: RawHeader[] | undefined;
  let cookies = NO_COOKIES;
  const authorizations: string[] = [];
  for (let index = 0; index < headers.length; index += 1) {
    const header = headers[index];
    if (header === undefined) continue;
    const [name, value] = header;
    let rest: string | undefined = value;
    // Lengths first: most headers are none of these three, and need no look at their letters.
    if (name.length === 13 && name.toLowerCase() === "authorization") {
      authorizations.push(value);
      if (value.includes(TOKEN_PREFIX)) rest = undefined;
    } else if (name.length === 6 && name.toLowerCase() === "cookie") {
      const taken = takeFromCookies(value);
      if (taken.found.length > 0) cookies = [...cookies, ...taken.found];
      rest = taken.rest;
    } else if (name.length === 7 && name.toLowerCase() === "referer") {
      rest = takeFromQuery(value).rest;
    }
    if (rest !== value) kept ??= headers.slice(0, index);
    if (rest !== undefined) kept?.push(rest === value ? header : [name, rest]);
  }
  return { bearer: onlyBearer(authorizations), cookies, headers: kept ?? headers };
}

function onlyBearer(authorizations: readonly string[]): string | undefined {
  const bearers = authorizations.map(bearerOf);
  if (bearers.length > 1 && bearers.some((bearer) => bearer !== undefined)) {
    throw new ConnectTokenError("Ambiguous", "the request has more than one Authorization header");
  }
  return bearers[0];
}

/** What follows `Bearer` and at least one space (RFC 6750, section 2.1; the scheme's case does not matter). */
function bearerOf(value: string): string | undefined {
  const text = trimBlanks(value);
  if (text.charCodeAt(6) !== 0x20 || text.slice(0, 6).toLowerCase() !== "bearer") return undefined;
  return trimBlanks(text.slice(7));
}

/** What stands under the first of the names that is there and not empty. */
function preferred(found: readonly Found[], names: readonly string[]): Found | undefined {
  if (found.length === 0) return undefined;
  for (const name of names) {
    const [first, ...others] = found.filter((one) => one.name === name && one.value !== "");
    if (first === undefined) continue;
    if (others.every((other) => other.value === first.value)) return first;
    throw new ConnectTokenError("Ambiguous", `the request has ${name} more than once, with different values`);
  }
  return undefined;
}
