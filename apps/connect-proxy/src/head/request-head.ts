// A request's head, read strictly (RFC 9112): it means one thing, to us and to whoever reads what we write, or is refused.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { BadMessage, malformed } from "../bad-message.ts";
import type { HeadNotes } from "../exchange.ts";
import type { FieldBlocks } from "./field-block.ts";
import { readFieldBlock } from "./field-block.ts";
import type { FieldProblem } from "./fields.ts";
import { isLineEnd } from "./fields.ts";
import type { Framing, FramingProblem } from "./framing.ts";
import { NO_BODY } from "./framing.ts";
import { handshakeKey } from "./handshake.ts";
import { parseTarget } from "./target.ts";

export interface HeadLimits {
  /** Of a head, its empty line included. */
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  /** Of a request target. */
  readonly maxUrlBytes: number;
}

export interface RequestHead {
  readonly method: string;
  /** Origin form, or `*`. */
  readonly target: string;
  readonly isHttp10: boolean;
  /** As it came. */
  readonly host: string;
  readonly headers: readonly RawHeader[];
  readonly endToEnd: readonly RawHeader[];
  readonly framing: Framing;
  readonly expectsContinue: boolean;
  /** The client wants the connection to live on. */
  readonly keepAlive: boolean;
  /** The key of a complete WebSocket handshake. */
  readonly webSocketKey: string | undefined;
  readonly notes: HeadNotes;
}

const VERSION = " HTTP/1.1";
/** Upper case only: servers differ in what they take `get` for. */
const REQUEST_LINE = /^([A-Z][A-Z-]{0,31}) ([^ ]+) HTTP\/([0-9])\.([0-9])$/;
/** A tunnel (section 3.2.3) has no place here, and an echo of the request would show what we add to it. */
const NEVER_FORWARDED: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);

/**
 * Reads the head that a text is, all of it, with its empty line. Throws {@link BadMessage}: after it nobody knows where
 * the next request begins, and the connection has to end. `known`: field lines that came before.
 */
export function scanRequestHead(text: string, limits: HeadLimits, known?: FieldBlocks): RequestHead {
  const lineEnd = text.indexOf("\r");
  if (!isLineEnd(text, lineEnd)) throw malformed("the request line does not end with CRLF");
  const { isHttp10, method, url } = requestLine(text, lineEnd, limits.maxUrlBytes);
  const { maxHeaders } = limits;
  const fields = known?.read(text, lineEnd + 2, maxHeaders) ?? readFieldBlock(text, lineEnd + 2, maxHeaders);
  if (typeof fields === "string") throw fieldError(fields);
  const { endToEnd, headers, hosts, notes, options } = fields;
  const [host] = hosts;
  if (host === undefined || hosts.length > 1) throw malformed("the request has no Host, or more than one");
  const parsed = parseTarget(url, method);
  if (parsed === undefined) throw malformed("the request target has a form that is not served here");
  // Section 3.2.2: the authority counts, not Host. Two that differ are two requests in one.
  if (parsed.authority !== undefined && parsed.authority.toLowerCase() !== host.toLowerCase()) {
    throw malformed("the authority of the target is not the one of Host");
  }
  const framing = fields.framing.result(isHttp10) ?? NO_BODY;
  if (typeof framing === "string") throw framingError(framing);
  if (options === undefined) throw malformed("Connection lists what is no token");
  const isUpgrade = method === "GET" && !isHttp10 && framing.kind === "none" && options.has("upgrade");
  return {
    method,
    target: parsed.target,
    isHttp10,
    host,
    headers,
    endToEnd,
    framing,
    // Section 10.1.1 of RFC 9110: an HTTP/1.0 client's expectation is ignored.
    expectsContinue: !isHttp10 && expectsContinue(fields.expectations),
    keepAlive: !options.has("close") && (!isHttp10 || options.has("keep-alive")),
    webSocketKey: isUpgrade ? handshakeKey(fields) : undefined,
    notes,
  };
}

function requestLine(text: string, lineEnd: number, maxUrlBytes: number) {
  const plain = plainRequestLine(text, lineEnd);
  if (plain !== undefined && plain.url.length <= maxUrlBytes) return plain;
  const match = REQUEST_LINE.exec(text.slice(0, lineEnd));
  if (match === null) throw malformed("the request line is malformed");
  const [, method = "", url = "", major, minor = ""] = match;
  if (major !== "1" || minor > "1") throw new BadMessage("UnsupportedVersion", "neither HTTP/1.1 nor HTTP/1.0");
  if (url.length > maxUrlBytes) throw new BadMessage("UrlTooLong", `the request target has over ${maxUrlBytes} bytes`);
  if (NEVER_FORWARDED.has(method)) throw new BadMessage("MethodNotAllowed", "the method is not served here");
  return { method, url, isHttp10: minor === "0" };
}

/** The request line of most heads, at a tenth of the cost; undefined: it takes a closer look. */
function plainRequestLine(text: string, lineEnd: number) {
  const method = text.startsWith("GET ") ? "GET" : text.startsWith("POST ") ? "POST" : undefined;
  const urlEnd = lineEnd - VERSION.length;
  if (method === undefined || urlEnd <= method.length + 1 || !text.startsWith(VERSION, urlEnd)) return undefined;
  const url = text.slice(method.length + 1, urlEnd);
  return url.includes(" ") ? undefined : { method, url, isHttp10: false };
}

function expectsContinue(expectations: readonly string[]): boolean {
  if (expectations.length === 0) return false;
  if (expectations.length === 1 && expectations[0]?.toLowerCase() === "100-continue") return true;
  throw new BadMessage("UnsupportedExpectation", "Expect is not 100-continue");
}

function fieldError(problem: FieldProblem): BadMessage {
  if (problem === "too-many") return new BadMessage("HeadTooLarge", "the request has too many headers");
  return malformed(FIELD_PROBLEMS[problem]);
}

/** For people who look for what is wrong with a message. */
export const FIELD_PROBLEMS: Readonly<Record<FieldProblem, string>> = {
  "too-many": "there are too many headers",
  folded: "a header is folded over two lines",
  name: "a header's name is malformed, or its colon does not follow at once",
  value: "a header's value holds a control character, or its line does not end with CRLF",
};

function framingError(problem: FramingProblem): BadMessage {
  return new BadMessage(
    problem === "coding" ? "UnsupportedTransferCoding" : "MalformedRequest",
    FRAMING_PROBLEMS[problem],
  );
}

/** For people who look for what is wrong with a message. */
export const FRAMING_PROBLEMS: Readonly<Record<FramingProblem, string>> = {
  length: "Content-Length is no plain number",
  lengths: "Content-Length comes more than once",
  coding: "Transfer-Encoding is not chunked",
  codings: "Transfer-Encoding comes more than once",
  both: "Content-Length and Transfer-Encoding are both there",
  disguised: "a header resembles Content-Length or Transfer-Encoding",
  old: "Transfer-Encoding came over HTTP/1.0",
};
