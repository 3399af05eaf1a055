// An answer's head, read strictly: the app is in a tenant's hands, and the client must see one answer where it sees one.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { badAnswer } from "../bad-message.ts";
import { isFieldValue } from "./characters.ts";
import { connectionOptions, endToEnd } from "./connection-options.ts";
import { kindOf } from "./field-names.ts";
import { isLineEnd, scanFields } from "./fields.ts";
import type { Framing } from "./framing.ts";
import { FramingFields, NO_BODY, UNTIL_CLOSE } from "./framing.ts";
import { FIELD_PROBLEMS, FRAMING_PROBLEMS } from "./request-head.ts";
import type { HeaderLines } from "./write-head.ts";

/** Of the request that is answered. */
export interface AnsweredRequest {
  readonly method: string;
  /** What Sec-WebSocket-Accept has to be. Undefined: the request is no handshake, and a 101 no answer to it. */
  readonly webSocketAccept: string | undefined;
}

export interface AnswerHead {
  readonly status: number;
  /** Reason phrase, possibly empty. */
  readonly reason: string;
  readonly endToEnd: readonly RawHeader[];
  /** How the bytes behind the head end. */
  readonly framing: Framing;
  /** Of an answer to HEAD, or a 304: the length that a GET's body has. */
  readonly absentLength: number | undefined;
  /** The app lets the connection live on, and no bytes of this answer can come that its end is not the end of. */
  readonly keepAlive: boolean;
  /** For how long it says to keep an idle connection, at most. */
  readonly keepAliveSeconds: number | undefined;
  /** Room for what the rules make of it, for the same head when it comes again. */
  readonly notes: AnswerNotes;
}

interface AnswerNotes {
  /** Of the answer to a request whose token came by `Authorization`, without its id. */
  lines: HeaderLines | undefined;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: ([^\r\n]*))?$/;

/** Reads the head that a text is, all of it, with its empty line. Throws `BadMessage`: 502. */
export function scanAnswerHead(text: string, request: AnsweredRequest, maxHeaders: number): AnswerHead {
  const lineEnd = text.indexOf("\r");
  if (!isLineEnd(text, lineEnd)) throw badAnswer("the status line does not end with CRLF");
  const match = STATUS_LINE.exec(text.slice(0, lineEnd));
  if (match === null) throw badAnswer("the status line is malformed");
  const [, minor, digits, reason = ""] = match;
  if (!isFieldValue(reason)) throw badAnswer("the reason phrase holds a control character");
  const isHttp10 = minor === "0";
  const status = Number(digits);
  const headers = scanFields(text, lineEnd + 2, text.length - 2, maxHeaders);
  if (typeof headers === "string") throw badAnswer(FIELD_PROBLEMS[headers]);
  const fields = sort(headers);
  const said = fields.framing.result(isHttp10);
  if (typeof said === "string") throw badAnswer(FRAMING_PROBLEMS[said]);
  const options = connectionOptions(fields.connections);
  if (options === undefined) throw badAnswer("Connection lists what is no token");
  if (status === 101) checkUpgrade(request, fields, options);
  const hasBody = request.method !== "HEAD" && status >= 200 && status !== 204 && status !== 304;
  const mayTellLength = !hasBody && status !== 204 && status >= 200;
  const mayFollow = !hasBody && status >= 200 && mayBringBody(request.method, said);
  return {
    status,
    reason,
    endToEnd: endToEnd(headers, options),
    framing: hasBody ? (said ?? UNTIL_CLOSE) : NO_BODY,
    absentLength: mayTellLength && said?.kind === "length" ? said.length : undefined,
    keepAlive: !mayFollow && !options.has("close") && (!isHttp10 || options.has("keep-alive")),
    keepAliveSeconds: keepAliveSeconds(fields.keepAlives),
    notes: { lines: undefined },
  };
}

/**
 * Whether an app may send a body all the same with an answer that has none: to HEAD many do, and what one client stored in
 * it would be the answer to the next.
 */
function mayBringBody(method: string, said: Framing | undefined): boolean {
  if (said === undefined) return method === "HEAD";
  return said.kind !== "length" || said.length > 0;
}

function sort(headers: readonly RawHeader[]) {
  const fields = {
    framing: new FramingFields(),
    connections: NO_VALUES,
    upgrades: NO_VALUES,
    accepts: NO_VALUES,
    keepAlives: NO_VALUES,
  };
  for (const [name, value] of headers) {
    switch (kindOf(name)) {
      case "content-length":
        fields.framing.addLength(value);
        break;
      case "transfer-encoding":
        fields.framing.addCoding(value);
        break;
      case "disguised-framing":
        fields.framing.addDisguised();
        break;
      case "connection":
        fields.connections = [...fields.connections, value];
        break;
      case "upgrade":
        fields.upgrades = [...fields.upgrades, value];
        break;
      case "sec-websocket-accept":
        fields.accepts = [...fields.accepts, value];
        break;
      case "keep-alive":
        fields.keepAlives = [...fields.keepAlives, value];
        break;
      case "expect":
      case "hop":
      case "host":
      case "sec-websocket-key":
      case "sec-websocket-version":
      case undefined:
        break;
    }
  }
  return fields;
}

const NO_VALUES: readonly string[] = [];

interface UpgradeFields {
  readonly upgrades: readonly string[];
  readonly accepts: readonly string[];
}

/** RFC 6455, section 4.1, items 2 to 4 of what a client checks: a proxy that splices unchecked is a tunnel for anything. */
function checkUpgrade(request: AnsweredRequest, fields: UpgradeFields, options: ReadonlySet<string>): void {
  const { accepts, upgrades } = fields;
  if (request.webSocketAccept === undefined) throw badAnswer("101 answers a request that is no WebSocket handshake");
  if (upgrades.length !== 1 || upgrades[0]?.toLowerCase() !== "websocket" || !options.has("upgrade")) {
    throw badAnswer("101 upgrades to something else than WebSocket");
  }
  if (accepts.length !== 1 || accepts[0] !== request.webSocketAccept) {
    throw badAnswer("Sec-WebSocket-Accept does not answer the key");
  }
}

function keepAliveSeconds(values: readonly string[]): number | undefined {
  if (values.length === 0) return undefined;
  const match = /(?:^|[,;\s])timeout=([0-9]{1,6})(?:$|[,;\s])/i.exec(values[0] ?? "");
  return match === null ? undefined : Number(match[1]);
}
