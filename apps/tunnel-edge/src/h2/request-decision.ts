// What becomes of a stream that a client begins.
import type { ErrorName, HeaderList } from "@sallyport/dataplane/http2";
import { readRequestHead } from "@sallyport/dataplane/http2";
import { isAuthorityOf } from "./authority.ts";

/** Where the connection leads. */
export interface Place {
  /** SNI: lower case, without a final dot. */
  readonly serverName: string;
  /** The port that clients reach the edge at. */
  readonly publicPort: number;
}

export type Decision =
  | { readonly kind: "pass"; readonly contentLength: number | undefined }
  /** Answered here. 421: another host's (RFC 9110, section 15.5.20). 431: its header list is too long. */
  | { readonly kind: "answer"; readonly status: 421 | 431 }
  | { readonly kind: "reset"; readonly code: ErrorName };

const MISDIRECTED: Decision = { kind: "answer", status: 421 };
const TOO_LONG: Decision = { kind: "answer", status: 431 };
/** Section 8.1.1. */
const MALFORMED: Decision = { kind: "reset", code: "PROTOCOL_ERROR" };

/** `allowsProtocol`: the sandbox has said that it takes CONNECT with a protocol (RFC 8441, section 3). */
export function decideRequest({ fields, isTooLong }: HeaderList, place: Place, allowsProtocol: boolean): Decision {
  if (isTooLong) return TOO_LONG;
  const head = readRequestHead(fields);
  if (head.state === "malformed" || (head.protocol !== undefined && !allowsProtocol)) return MALFORMED;
  // Of another scheme it is of another origin, for which the certificate says nothing (RFC 9110, section 7.4).
  if (head.scheme !== undefined && head.scheme.toLowerCase() !== "https") return MISDIRECTED;
  if (!isAuthorityOf(head.authority, place.serverName, place.publicPort)) return MISDIRECTED;
  return { kind: "pass", contentLength: head.contentLength };
}
