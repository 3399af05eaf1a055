// Heads as they are written: the fields that the rules left, our framing, our Connection.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { rememberedByName } from "../header-names.ts";
import { isAll, isFieldValue, TARGET, TOKEN } from "./characters.ts";
import { kindOf } from "./field-names.ts";
import type { Framing } from "./framing.ts";

/**
 * For the app: always HTTP/1.1. To be kept alive, but behind a body: many servers leave one unread that they do not expect,
 * and take it for the next request, whose headers the client has written and not the proxy.
 */
export function writeRequestHead(
  request: {
    readonly method: string;
    readonly target: string;
    readonly headers: readonly RawHeader[];
    /** The headers as lines, where they are at hand. */
    readonly lines?: string | undefined;
  },
  framing: Framing,
  isWebSocket: boolean,
): string {
  if (!isAll(request.target, TARGET)) throw new TypeError("a target holds a blank or a control character");
  const connection = CONNECTION_LINES[isWebSocket ? "upgrade" : hasContent(framing) ? "close" : ""];
  const lines = request.lines ?? headerLines(request.headers);
  return `${request.method} ${request.target} HTTP/1.1\r\n${lines}${framingLine(framing)}${connection}\r\n`;
}

/** Whether bytes may follow a head of this framing. */
export function hasContent(framing: Framing): boolean {
  return framing.kind === "length" ? framing.length > 0 : framing.kind !== "none";
}

/** Header lines as they are written, each with its CRLF. */
export interface HeaderLines {
  readonly text: string;
  /** `Date` is among them. */
  readonly isDated: boolean;
}

export interface WrittenAnswer {
  readonly status: number;
  readonly reason: string;
  readonly lines: HeaderLines;
  readonly framing: Framing;
  /** Of an answer to HEAD, or a 304. */
  readonly absentLength?: number | undefined;
  readonly connection: "" | "close" | "keep-alive" | "upgrade";
  /** For an answer that has none. */
  readonly date: string;
}

/** For the client: always HTTP/1.1 (RFC 9110, section 6.2), also to an HTTP/1.0 client. */
export function writeAnswerHead(answer: WrittenAnswer): string {
  const { absentLength, connection, date, framing, lines, reason, status } = answer;
  const length = absentLength === undefined ? "" : `Content-Length: ${absentLength}\r\n`;
  const dated = status < 200 || lines.isDated ? "" : `Date: ${date}\r\n`;
  const start = `HTTP/1.1 ${status} ${reason}\r\n${lines.text}${dated}${framingLine(framing)}${length}`;
  return `${start}${CONNECTION_LINES[connection]}\r\n`;
}

const CONNECTION_LINES = {
  "": "",
  close: "Connection: close\r\n",
  "keep-alive": "Connection: keep-alive\r\n",
  upgrade: "Connection: Upgrade\r\nUpgrade: websocket\r\n",
} as const;

function framingLine(framing: Framing): string {
  switch (framing.kind) {
    case "chunked":
      return "Transfer-Encoding: chunked\r\n";
    case "length":
      return `Content-Length: ${framing.length}\r\n`;
    case "close":
    case "none":
      return "";
  }
}

/** Lines of headers that are written again and again, by the header itself. */
const lastingLines = new WeakMap<RawHeader, string>();

/** A header that many messages carry: checked once, and its line made once. Throws `TypeError` if it must not be written. */
export function lastingHeader(name: string, value: string): RawHeader {
  const header: RawHeader = Object.freeze([name, value] as const);
  lastingLines.set(header, inOnePiece(lineOf(header)));
  return header;
}

/** Throws `TypeError` if one of them must not be written. */
export function headerLines(headers: readonly RawHeader[]): string {
  let text = "";
  for (const header of headers) text += lastingLines.get(header) ?? lineOf(header);
  return text;
}

/** Of an answer: told whether it is dated. Throws as {@link headerLines} does. */
export function answerLinesOf(headers: readonly RawHeader[]): HeaderLines {
  return { text: headerLines(headers), isDated: hasDate(headers) };
}

/** In one piece: what is joined out of pieces is gone through piece by piece each time it is written. */
export function inOnePiece(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("latin1");
}

function lineOf([name, value]: RawHeader): string {
  const problem = problemOfName(name);
  if (problem !== "") throw new TypeError(problem);
  if (!isFieldValue(value)) throw new TypeError(`the value of ${name} holds a control character`);
  return `${name}: ${value}\r\n`;
}

/** Whoever adds a header may be mistaken; a line end or a second framing must not come of it. Empty: it may be written. */
export const problemOfName = rememberedByName((name) => {
  if (!isAll(name, TOKEN) || name === "") return "a header's name is no token";
  switch (kindOf(name)) {
    case "connection":
    case "content-length":
    case "disguised-framing":
    case "expect":
    case "hop":
    case "keep-alive":
    case "transfer-encoding":
    case "upgrade":
      return `${name} is the proxy's own to write`;
    case "host":
    case "sec-websocket-accept":
    case "sec-websocket-key":
    case "sec-websocket-version":
    case undefined:
      return "";
  }
});

export function hasDate(headers: readonly RawHeader[]): boolean {
  for (const [name] of headers) if (name.length === 4 && name.toLowerCase() === "date") return true;
  return false;
}
