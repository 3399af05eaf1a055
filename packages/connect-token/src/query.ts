// The token in a query: taken out of a request target or a Referer, the rest left byte for byte.

import type { Found } from "./found.ts";
import { TOKEN_NAMES } from "./wire.ts";

export interface TakenQuery {
  /** The target without the token's parameters; the very same string if it had none. */
  readonly rest: string;
  /** The token's parameters in their order, empty ones too. */
  readonly found: readonly Found[];
}

const NONE: readonly Found[] = [];
/** In each of the token's names, unless a character of it is escaped. */
const MARK = "_connect_token";

/**
 * Takes the token's parameters, by either name, out of a URL or a part of one: all of them, each with one `&`, and the
 * `?` if nothing else stood behind it. A name counts in any percent-encoding: the app would decode it too.
 */
export function takeFromQuery(target: string): TakenQuery {
  const start = target.indexOf("?");
  if (start < 0) return { rest: target, found: NONE };
  if (!target.includes(MARK, start) && !target.includes("%", start)) return { rest: target, found: NONE };
  const hash = target.indexOf("#");
  // A mark in front of the fragment's own "?" leaves nothing between the two.
  const end = hash < 0 ? target.length : hash;
  const parts = target.slice(start + 1, end).split("&");
  const found: Found[] = [];
  const kept = parts.filter((part) => {
    const one = foundIn(part);
    if (one !== undefined) found.push(one);
    return one === undefined;
  });
  if (found.length === 0) return { rest: target, found: NONE };
  const query = kept.length === 0 ? "" : `?${kept.join("&")}`;
  return { rest: target.slice(0, start) + query + target.slice(end), found };
}

function foundIn(part: string): Found | undefined {
  const equals = part.indexOf("=");
  const name = decoded(equals < 0 ? part : part.slice(0, equals));
  if (!TOKEN_NAMES.includes(name)) return undefined;
  return { name, value: equals < 0 ? "" : decoded(part.slice(equals + 1)) };
}

/** Percent-escapes of ASCII decoded; whatever else is there stays, and is then no name and no token of ours. */
function decoded(text: string): string {
  let at = text.indexOf("%");
  if (at < 0) return text;
  let result = "";
  let from = 0;
  while (at >= 0) {
    const code = hexByte(text, at + 1);
    if (code < 0x80) {
      result += text.slice(from, at) + String.fromCharCode(code);
      from = at + 3;
    }
    at = text.indexOf("%", Math.max(from, at + 1));
  }
  return result + text.slice(from);
}

/** The byte that two hexadecimal digits say; 256 where there are none. */
function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at));
  const low = hexDigit(text.charCodeAt(at + 1));
  return high < 0 || low < 0 ? 256 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
