// Reads the head of a request from its fields (RFC 9113, sections 8.2, 8.3 and 8.5; RFC 8441).
import type { HeaderField } from "./hpack/field.ts";
import { fieldProblem, nextContentLength } from "./message-fields.ts";

export interface RequestHead {
  readonly state: "request";
  readonly method: string;
  /** `undefined` for CONNECT without a protocol, as `path` is. */
  readonly scheme: string | undefined;
  readonly path: string | undefined;
  /** `:authority`, or `Host` where there is none: nothing but a name and a port, if not yet looked at. */
  readonly authority: string;
  /** Of an extended CONNECT. */
  readonly protocol: string | undefined;
  readonly contentLength: number | undefined;
}

/** The request is malformed (section 8.1.1): it must not be handed on. */
export interface MalformedRequest {
  readonly state: "malformed";
  readonly problem: string;
}

/** Pseudo-headers of requests, and what their values may be. */
const PSEUDO: ReadonlyMap<string, RegExp> = new Map([
  [":method", /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/],
  [":scheme", /^[A-Za-z][A-Za-z0-9+.-]*$/],
  // No user information (section 8.3.1), no blanks, nothing that ends an authority.
  [":authority", /^[^\0-\x20@/?#\\\x7f-\xff]+$/],
  [":path", /^[^\0-\x20#\x7f]+$/],
  [":protocol", /^[!#$%&'*+./^_`|~0-9A-Za-z-]+$/],
]);
const AUTHORITY = PSEUDO.get(":authority") ?? /^$/;

/** Reads a header list. */
export function readRequestHead(fields: readonly HeaderField[]): RequestHead | MalformedRequest {
  const pseudo = new Map<string, string>();
  let host: string | undefined;
  let contentLength: number | undefined;
  let isBehindPseudo = false;
  for (const field of fields) {
    const { name, value } = field;
    if (name.charCodeAt(0) === COLON) {
      if (isBehindPseudo) return malformed("a pseudo-header comes behind another field");
      if (pseudo.has(name)) return malformed("a pseudo-header comes twice");
      if (PSEUDO.get(name)?.test(value) !== true) return malformed("a pseudo-header is none of requests");
      pseudo.set(name, value);
      continue;
    }
    isBehindPseudo = true;
    const problem = fieldProblem(field);
    if (problem !== undefined) return malformed(problem);
    if (name === "host") {
      if (host !== undefined || !AUTHORITY.test(value)) return malformed("Host comes twice, or is none");
      host = value;
    } else if (name === "content-length") {
      contentLength = nextContentLength(contentLength, value);
      if (Number.isNaN(contentLength)) return malformed("Content-Length is none, or two");
    }
  }
  return headOf(pseudo, host, contentLength);
}

const COLON = 0x3a;

function headOf(
  pseudo: ReadonlyMap<string, string>,
  host: string | undefined,
  contentLength: number | undefined,
): RequestHead | MalformedRequest {
  const method = pseudo.get(":method");
  const scheme = pseudo.get(":scheme");
  const path = pseudo.get(":path");
  const protocol = pseudo.get(":protocol");
  const authority = pseudo.get(":authority") ?? host;
  if (method === undefined) return malformed("there is no method");
  if (authority === undefined) return malformed("there is no authority");
  // Two that differ are two requests in one (section 8.3.1).
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase())
    return malformed("Host is not the authority");
  if (protocol !== undefined && method !== "CONNECT") return malformed("a protocol comes without CONNECT");
  if (method === "CONNECT" && protocol === undefined) {
    if (scheme !== undefined || path !== undefined) return malformed("CONNECT has a scheme or a path");
  } else {
    if (scheme === undefined || path === undefined) return malformed("there is no scheme, or no path");
    if (!path.startsWith("/") && (path !== "*" || method !== "OPTIONS")) return malformed("the path is none");
  }
  return { state: "request", method, scheme, path, authority, protocol, contentLength };
}

function malformed(problem: string): MalformedRequest {
  return { state: "malformed", problem };
}
