// What the names of fields mean to a proxy: framing, one hop only, or nothing.

/** What a field is to a proxy; undefined: an end-to-end field like any other. */
export type FieldKind =
  | "host"
  | "content-length"
  | "transfer-encoding"
  | "connection"
  | "expect"
  | "upgrade"
  | "sec-websocket-key"
  | "sec-websocket-version"
  | "sec-websocket-accept"
  | "keep-alive"
  /** For one hop, and nothing more to us. */
  | "hop"
  /** `Content_Length` and the like: some servers take it for the field it resembles. */
  | "disguised-framing";

const KINDS: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  ["host", "host"],
  ["content-length", "content-length"],
  ["transfer-encoding", "transfer-encoding"],
  ["connection", "connection"],
  ["expect", "expect"],
  ["upgrade", "upgrade"],
  ["sec-websocket-key", "sec-websocket-key"],
  ["sec-websocket-version", "sec-websocket-version"],
  ["sec-websocket-accept", "sec-websocket-accept"],
  ["keep-alive", "keep-alive"],
  ["te", "hop"],
  ["trailer", "hop"],
  ["http2-settings", "hop"],
  ["proxy", "hop"], // read by CGI programs as HTTP_PROXY
  ["proxy-authenticate", "hop"],
  ["proxy-authentication-info", "hop"],
  ["proxy-authorization", "hop"],
  ["proxy-connection", "hop"],
  ["content_length", "disguised-framing"],
  ["transfer_encoding", "disguised-framing"],
]);
const LENGTHS: ReadonlySet<number> = new Set(Array.from(KINDS.keys(), (name) => name.length));

/** By the name in any case. Most names are told apart by their length alone. */
export function kindOf(name: string): FieldKind | undefined {
  return LENGTHS.has(name.length) ? KINDS.get(name.toLowerCase()) : undefined;
}
