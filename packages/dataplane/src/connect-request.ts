// The form of a request to open a connection into a sandbox, written and read by the two ends of the gateway's socket:
//
//   CONNECT <instance-id>.<sandbox-id>:<port> HTTP/1.1
//   Host: <instance-id>.<sandbox-id>:<port>
//   Sallyport-Grant-Port: <port>
//
// Lines end with CRLF, the head with an empty line. The answer is an HTTP/1.1 head with a status of CONNECT_STATUSES;
// after a 200 the bytes of the sandbox follow, after another status a line for people, and the end.

/** Header that names the port of the caller's grant: the gateway opens no other. */
export const GRANT_PORT_HEADER = "sallyport-grant-port";
/** The most bytes of a request's or an answer's head. */
export const MAX_CONNECT_HEAD_BYTES = 4_096;

/** What each status of an answer means. */
export const CONNECT_STATUSES = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  410: "Gone",
  502: "Bad Gateway",
  503: "Service Unavailable",
} as const;

/** A status that the gateway answers with. */
export type ConnectStatus = keyof typeof CONNECT_STATUSES;

/** What a request asks for. */
export interface ConnectRequest {
  readonly sandboxId: string;
  readonly instanceId: string;
  readonly port: number;
  /** The port that the caller's grant names. */
  readonly grantPort: number | undefined;
}

const REQUEST_LINE = /^CONNECT (in-[0-9a-z]{26})\.(sb-[0-9a-z]{26}):([1-9][0-9]{0,4}) HTTP\/1\.1$/;
const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*$/;
const PORT = /^[1-9][0-9]{0,4}$/;
const MAX_PORT = 65_535;

/** The head of a request. */
export function formatConnectRequest(request: ConnectRequest): string {
  const authority = `${request.instanceId}.${request.sandboxId}:${request.port}`;
  const grant = request.grantPort === undefined ? "" : `${GRANT_PORT_HEADER}: ${request.grantPort}\r\n`;
  return `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${grant}\r\n`;
}

/**
 * Reads the head of a request, without its empty line. Undefined when it is out of shape: another method or version,
 * folded or malformed lines, no `Host` or another one than the target, a header of ours twice, a body announced.
 * Headers that are not ours are ignored.
 */
export function parseConnectRequest(head: string): ConnectRequest | undefined {
  const [requestLine = "", ...lines] = head.split("\r\n");
  const match = REQUEST_LINE.exec(requestLine);
  if (match === null) return undefined;
  const [, instanceId = "", sandboxId = "", portText = ""] = match;
  const port = Number(portText);
  const headers = parseHeaders(lines);
  if (headers === undefined || port > MAX_PORT) return undefined;
  if (headers.get("host") !== `${instanceId}.${sandboxId}:${portText}`) return undefined;
  if (headers.has("content-length") || headers.has("transfer-encoding")) return undefined;
  const grant = headers.get(GRANT_PORT_HEADER);
  if (grant !== undefined && !PORT.test(grant)) return undefined;
  return { sandboxId, instanceId, port, grantPort: grant === undefined ? undefined : Number(grant) };
}

/** Each header once, names in lower case; undefined when a line is malformed or one comes twice. */
function parseHeaders(lines: readonly string[]): ReadonlyMap<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const match = HEADER_LINE.exec(line);
    const name = match?.[1]?.toLowerCase();
    if (match === null || name === undefined || headers.has(name)) return undefined;
    headers.set(name, match[2] ?? "");
  }
  return headers;
}

/** The head of an answer, with what follows it when it is not a 200. */
export function formatConnectAnswer(status: ConnectStatus, message: string): string {
  const line = `HTTP/1.1 ${status} ${CONNECT_STATUSES[status]}\r\n`;
  if (status === 200) return `${line}\r\n`;
  const body = `${message}\n`;
  const headers = ["content-type: text/plain; charset=utf-8", `content-length: ${Buffer.byteLength(body)}`];
  return `${line}${headers.join("\r\n")}\r\nconnection: close\r\n\r\n${body}`;
}

/** The status of an answer's head; undefined when it is none of ours. */
export function parseConnectAnswer(head: string): ConnectStatus | undefined {
  const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(head)?.[1]);
  return Object.hasOwn(CONNECT_STATUSES, status) ? (status as ConnectStatus) : undefined;
}
