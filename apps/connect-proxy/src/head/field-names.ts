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

/** Of the longest name below. */
const MAX_LENGTH = 25;
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
/** First letters, as bits, of the names of each length: most names are told apart by these alone, and need no look-up. */
const FIRST_LETTERS: Readonly<Uint32Array> = Uint32Array.from({ length: MAX_LENGTH + 1 }, (_, length) => {
  const names = [...KINDS.keys()].filter((name) => name.length === length);
  return names.reduce((bits, name) => bits | letterBit(name), 0);
});

/** By the name in any case. */
export function kindOf(name: string): FieldKind | undefined {
  const { length } = name;
  if (length === 0 || length > MAX_LENGTH || ((FIRST_LETTERS[length] ?? 0) & letterBit(name)) === 0) return undefined;
  return KINDS.get(name.toLowerCase());
}

/** Of the first letter in either case; other characters share the bits, and are told apart by the name. */
function letterBit(name: string): number {
  return 1 << (name.charCodeAt(0) & 31);
}
