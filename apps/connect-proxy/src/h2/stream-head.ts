// A request's head as HTTP/2 brings it (RFC 9113, section 8.3), read as strictly as the one of HTTP/1.1: what it becomes
// there means the same one thing.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { BadMessage, malformed } from "../bad-message.ts";
import { endToEnd } from "../head/connection-options.ts";
import { kindOf } from "../head/field-names.ts";
import type { Framing } from "../head/framing.ts";
import { CHUNKED, FramingFields, NO_BODY } from "../head/framing.ts";
import type { HeadLimits } from "../head/request-head.ts";
import { FRAMING_PROBLEMS } from "../head/request-head.ts";
import { parseTarget } from "../head/target.ts";
import { rememberedByName } from "../header-names.ts";

export interface StreamHead {
  readonly method: string;
  /** Begins with `/`, or is `*`. */
  readonly target: string;
  /** `:authority` as it came, or `Host` where there is none. */
  readonly host: string;
  /** `Host` first, then the others; cookie crumbs are one field. */
  readonly headers: readonly RawHeader[];
  readonly endToEnd: readonly RawHeader[];
  /** As HTTP/1.1 tells the app. */
  readonly framing: Framing;
  readonly expectsContinue: boolean;
}

/** Upper case only: servers differ in what they take `get` for. */
const METHOD = /^[A-Z][A-Z-]{0,31}$/;
const NEVER_FORWARDED: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);
/** What a field costs beside its octets (section 6.5.2). */
const FIELD_OVERHEAD = 32;
const NO_OPTIONS: ReadonlySet<string> = new Set();

interface Fields {
  readonly pseudo: ReadonlyMap<string, string>;
  readonly host: string | undefined;
  readonly expects: readonly string[];
  readonly framing: FramingFields;
  /** Without `Host` and pseudo-headers. */
  readonly regular: RawHeader[];
}

/**
 * Reads a header list as it came: names and values in turns. Throws {@link BadMessage}; the stream alone ends with it.
 *
 * @param isWhole whether the request ends with its head.
 */
export function readStreamHead(raw: readonly string[], isWhole: boolean, limits: HeadLimits): StreamHead {
  const { expects, framing, host: hostField, pseudo, regular } = sort(raw, limits);
  const method = pseudo.get(":method") ?? "";
  if (!METHOD.test(method)) throw malformed("the method is none");
  if (NEVER_FORWARDED.has(method)) throw new BadMessage("MethodNotAllowed", "the method is not served here");
  if (pseudo.get(":scheme") !== "https") throw malformed("the scheme is not https");
  const path = pseudo.get(":path") ?? "";
  if (path.length > limits.maxUrlBytes) {
    throw new BadMessage("UrlTooLong", `the request target has over ${limits.maxUrlBytes} bytes`);
  }
  const parsed = parseTarget(path, method);
  // Section 8.3.1: the path is in origin form, or `*`.
  if (parsed === undefined || parsed.authority !== undefined) throw malformed("the path is none that is served here");
  const authority = pseudo.get(":authority");
  const host = authority ?? hostField;
  if (host === undefined) throw malformed("the request names no authority");
  // Section 8.3.1: two that differ are two requests in one.
  if (hostField !== undefined && hostField.toLowerCase() !== host.toLowerCase()) {
    throw malformed("Host is not the authority");
  }
  const said = framing.result(false);
  if (typeof said === "string") throw malformed(FRAMING_PROBLEMS[said]);
  const headers: RawHeader[] = [["host", host], ...regular];
  return {
    method,
    target: parsed.target,
    host,
    headers,
    endToEnd: endToEnd(headers, NO_OPTIONS),
    framing: said ?? (isWhole ? NO_BODY : CHUNKED),
    expectsContinue: expectsContinue(expects),
  };
}

function sort(raw: readonly string[], limits: HeadLimits): Fields {
  const pseudo = new Map<string, string>();
  const framing = new FramingFields();
  const regular: RawHeader[] = [];
  const expects: string[] = [];
  let host: string | undefined;
  let cookieAt = -1;
  let bytes = 0;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    bytes += name.length + value.length + FIELD_OVERHEAD;
    if (bytes > limits.maxHeadBytes) throw new BadMessage("HeadTooLarge", "the request's headers are too large");
    if (name.startsWith(":")) {
      if (pseudo.has(name)) throw malformed("a pseudo-header comes more than once");
      if (regular.length > 0 || host !== undefined) throw malformed("a pseudo-header comes after another header");
      pseudo.set(name, value);
      continue;
    }
    check(name, value);
    switch (kindOf(name)) {
      case "host":
        if (host !== undefined) throw malformed("Host comes more than once");
        host = value;
        continue;
      case "content-length":
        framing.addLength(value);
        break;
      case "disguised-framing":
        framing.addDisguised();
        break;
      case "expect":
        expects.push(value);
        break;
      // Section 8.2.2: what is of one connection has no place here.
      case "connection":
      case "keep-alive":
      case "transfer-encoding":
      case "upgrade":
        throw malformed(`${name} has no place in HTTP/2`);
      case "hop":
        if (name === "proxy-connection") throw malformed(`${name} has no place in HTTP/2`);
        if (name === "te" && value.toLowerCase() !== "trailers") throw malformed("TE is not trailers");
        break;
      case "sec-websocket-accept":
      case "sec-websocket-key":
      case "sec-websocket-version":
      case undefined:
    }
    if (name !== "cookie") regular.push([name, value]);
    // Section 8.2.3: crumbs are one field for whoever reads HTTP/1.1.
    else if (cookieAt === -1) cookieAt = regular.push([name, value]) - 1;
    else regular[cookieAt] = [name, `${regular[cookieAt]?.[1] ?? ""}; ${value}`];
    if (regular.length > limits.maxHeaders) throw new BadMessage("HeadTooLarge", "the request has too many headers");
  }
  for (const name of pseudo.keys()) if (!PSEUDO.has(name)) throw malformed("a pseudo-header is not known here");
  return { pseudo, host, expects, framing, regular };
}

const PSEUDO: ReadonlySet<string> = new Set([":method", ":scheme", ":path", ":authority"]);
/** A token in lower case. */
const isName = rememberedByName((name) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name));
/** Printable ASCII, obs-text, blanks only inside. */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** Section 8.2.1. The library drops such fields before anybody sees them; here nothing depends on that. */
function check(name: string, value: string): void {
  if (!isName(name)) throw malformed("a header's name is malformed");
  if (!VALUE.test(value)) throw malformed("a header's value holds a control character, or a blank at one of its ends");
}

function expectsContinue(expectations: readonly string[]): boolean {
  if (expectations.length === 0) return false;
  if (expectations.length === 1 && expectations[0]?.toLowerCase() === "100-continue") return true;
  throw new BadMessage("UnsupportedExpectation", "Expect is not 100-continue");
}
