// A request's head as HTTP/2 brings it (RFC 9113, section 8.3), read as strictly as the one of HTTP/1.1: what it becomes
// there means the same one thing.
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { HeaderField } from "@sallyport/dataplane/http2";
import { BadMessage, malformed } from "../bad-message.ts";
import type { HeadNotes } from "../exchange.ts";
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
  readonly notes: HeadNotes;
}

/** A request that is malformed by the rules of HTTP/2 itself (section 8.1.1): its stream is reset. Others get an answer. */
export class MalformedStream extends BadMessage {
  constructor(problem: string) {
    super("MalformedRequest", problem);
  }
}

/** What the pseudo-headers of a request may be (section 8.3.1); an authority without a user, and of names and ports alone. */
const PSEUDO: ReadonlyMap<string, RegExp> = new Map([
  [":method", /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/],
  [":scheme", /^[A-Za-z][A-Za-z0-9+.-]*$/],
  [":authority", /^[^\0-\x20@/?#\\\x7f-\xff]+$/],
  [":path", /^(?:\/[^\0-\x20\x7f]*|\*)$/],
]);
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
 * Reads a header list as it came. Throws {@link BadMessage}; the stream alone ends with it.
 *
 * @param isWhole whether the request ends with its head.
 */
export function readStreamHead(fields: readonly HeaderField[], isWhole: boolean, limits: HeadLimits): StreamHead {
  const { expects, framing, host: hostField, pseudo, regular } = sort(fields, limits);
  const method = pseudo.get(":method");
  if (method === undefined) throw new MalformedStream("there is no method");
  const host = pseudo.get(":authority") ?? hostField;
  if (host === undefined) throw new MalformedStream("the request names no authority");
  if (!METHOD.test(method)) throw malformed("the method is none");
  if (NEVER_FORWARDED.has(method)) throw new BadMessage("MethodNotAllowed", "the method is not served here");
  const scheme = pseudo.get(":scheme");
  const path = pseudo.get(":path");
  if (scheme === undefined || path === undefined) throw new MalformedStream("there is no scheme, or no path");
  if (scheme !== "https") throw malformed("the scheme is not https");
  if (path.length > limits.maxUrlBytes) {
    throw new BadMessage("UrlTooLong", `the request target has over ${limits.maxUrlBytes} bytes`);
  }
  const parsed = parseTarget(path, method);
  if (parsed === undefined) throw malformed("the path is none that is served here");
  // Section 8.3.1: two that differ are two requests in one.
  if (hostField !== undefined && hostField.toLowerCase() !== host.toLowerCase()) {
    throw malformed("Host is not the authority");
  }
  const said = framing.result(false);
  if (typeof said === "string") throw malformed(FRAMING_PROBLEMS[said]);
  if (isWhole && said?.kind === "length" && said.length > 0) throw new MalformedStream("a length comes without a body");
  const headers: RawHeader[] = [["host", host], ...regular];
  return {
    method,
    target: parsed.target,
    host,
    headers,
    endToEnd: endToEnd(headers, NO_OPTIONS),
    framing: said ?? (isWhole ? NO_BODY : CHUNKED),
    expectsContinue: expectsContinue(expects),
    notes: { carried: undefined },
  };
}

function sort(fields: readonly HeaderField[], limits: HeadLimits): Fields {
  const pseudo = new Map<string, string>();
  const framing = new FramingFields();
  const regular: RawHeader[] = [];
  const expects: string[] = [];
  let host: string | undefined;
  let cookieAt = -1;
  let bytes = 0;
  let isBehindPseudo = false;
  for (const { name, value } of fields) {
    bytes += name.length + value.length + FIELD_OVERHEAD;
    if (bytes > limits.maxHeadBytes) throw new BadMessage("HeadTooLarge", "the request's headers are too large");
    if (name.startsWith(":")) {
      if (pseudo.has(name)) throw new MalformedStream("a pseudo-header comes more than once");
      if (isBehindPseudo) throw new MalformedStream("a pseudo-header comes after another header");
      if (PSEUDO.get(name)?.test(value) !== true) throw new MalformedStream("a pseudo-header is none of requests");
      pseudo.set(name, value);
      continue;
    }
    isBehindPseudo = true;
    check(name, value);
    switch (kindOf(name)) {
      case "host":
        if (host !== undefined) throw new MalformedStream("Host comes more than once");
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
        throw new MalformedStream(`${name} has no place in HTTP/2`);
      case "hop":
        if (name === "proxy-connection") throw new MalformedStream(`${name} has no place in HTTP/2`);
        if (name === "te" && value.toLowerCase() !== "trailers") throw new MalformedStream("TE is not trailers");
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
  return { pseudo, host, expects, framing, regular };
}

/** A token in lower case. */
const isName = rememberedByName((name) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name));
/** Printable ASCII, obs-text, blanks only inside. */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** Section 8.2.1. */
function check(name: string, value: string): void {
  if (!isName(name)) throw new MalformedStream("a header's name is malformed");
  if (!VALUE.test(value)) {
    throw new MalformedStream("a header's value holds a control character, or a blank at one of its ends");
  }
}

function expectsContinue(expectations: readonly string[]): boolean {
  if (expectations.length === 0) return false;
  if (expectations.length === 1 && expectations[0]?.toLowerCase() === "100-continue") return true;
  throw new BadMessage("UnsupportedExpectation", "Expect is not 100-continue");
}
