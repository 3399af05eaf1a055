// What a peer of HTTP/2 did wrong: an error of the connection, or of one stream.
import type { ErrorName } from "./wire.ts";

/**
 * The connection cannot go on (RFC 9113, section 5.4.1): nothing after it can be understood, or trusted. `code` is for
 * GOAWAY; the message names the rule and holds no byte of the peer's.
 */
export class Http2Error extends Error {
  readonly code: ErrorName;

  constructor(code: ErrorName, message: string) {
    super(message);
    this.name = "Http2Error";
    this.code = code;
  }
}
