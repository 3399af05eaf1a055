// Bytes that are no TLS record, told apart, so that a refusal can say what is wrong.
import type { HelloRefusal, NeedMore } from "./result.ts";
import { refusal } from "./result.ts";

const METHODS = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PRI", "PUT", "TRACE"];
const STARTS: readonly string[] = METHODS.map((method) => `${method} `);
const SSL2_CLIENT_HELLO = 1;
/** Up to the major version that an SSL 2 hello asks for. */
const SSL2_HEAD_BYTES = 4;
/** Enough bytes to tell any of them. */
export const TELLING_BYTES = 8;

/** What these first bytes of a connection are, which begin with no TLS record. */
export function otherProtocol(start: Buffer): HelloRefusal | NeedMore {
  if (((start[0] ?? 0) & 0x80) !== 0) return ssl2(start);
  const text = start.toString("latin1");
  if (STARTS.some((method) => text.startsWith(method))) return refusal("plain-http");
  return STARTS.some((method) => method.startsWith(text)) ? { state: "need-more" } : refusal("not-tls");
}

/** Two bytes of length with the highest bit set, the type of the message, the version (RFC 6101, appendix E). */
function ssl2(start: Buffer): HelloRefusal | NeedMore {
  const [, , type = SSL2_CLIENT_HELLO, major = 3] = start;
  if (type !== SSL2_CLIENT_HELLO || (major !== 3 && major !== 0)) return refusal("not-tls");
  return start.length < SSL2_HEAD_BYTES ? { state: "need-more" } : refusal("ssl2");
}
