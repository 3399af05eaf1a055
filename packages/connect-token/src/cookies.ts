// The token in a Cookie header: taken out, the other cookies left byte for byte.

import type { Found } from "./found.ts";
import { COOKIE_NAMES } from "./wire.ts";

export interface TakenCookies {
  /** The header's value without the token's cookies; undefined if nothing is left; the very same string if it had none. */
  readonly rest: string | undefined;
  /** The token's cookies in their order, empty ones too. */
  readonly found: readonly Found[];
}

const NONE: readonly Found[] = [];
/** In each of the token's names. */
const MARK = "_connect_token";

/**
 * Takes the token's cookies, by any of its names, out of the value of one Cookie header (RFC 6265, section 4.2.1). A name
 * with blanks around it is taken out too, since lenient apps would read it, but gives no token: no browser sends it.
 */
export function takeFromCookies(value: string): TakenCookies {
  if (!value.includes(MARK)) return { rest: value, found: NONE };
  const found: Found[] = [];
  let removed = false;
  const kept = value.split(";").filter((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 0) return true;
    const name = trimBlanks(pair.slice(0, equals));
    if (!COOKIE_NAMES.includes(name)) return true;
    removed = true;
    if (trimStart(pair).startsWith(`${name}=`))
      found.push({ name, value: unquoted(trimBlanks(pair.slice(equals + 1))) });
    return false;
  });
  if (!removed) return { rest: value, found: NONE };
  const rest = trimStart(kept.join(";"));
  return { rest: rest === "" ? undefined : rest, found };
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || code === 0x09;
}

function trimStart(text: string): string {
  let start = 0;
  while (isBlank(text, start)) start += 1;
  return text.slice(start);
}

/** Without the blanks that HTTP allows around values. */
export function trimBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text, end - 1)) end -= 1;
  return trimStart(text.slice(0, end));
}
