// The octets that a client of HTTP/2 begins with (RFC 9113, section 3.4).
import { Http2Error } from "./errors.ts";
import { PREFACE } from "./wire.ts";

export class ClientPreface {
  #taken = 0;

  get isWhole(): boolean {
    return this.#taken === PREFACE.length;
  }

  /** What is behind the preface in this piece. Throws for anything else by its first octet. */
  push(piece: Buffer): Buffer {
    const length = Math.min(piece.length, PREFACE.length - this.#taken);
    if (piece.compare(PREFACE, this.#taken, this.#taken + length, 0, length) !== 0) {
      throw new Http2Error("PROTOCOL_ERROR", "a client does not begin with the preface of HTTP/2");
    }
    this.#taken += length;
    return piece.subarray(length);
  }
}
