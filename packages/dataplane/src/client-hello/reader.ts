// Joins the records that a ClientHello is cut into, as their bytes come in, and reads it once it is whole.
import { MAX_CLIENT_HELLO_BYTES, MAX_RECORD_BYTES } from "./limits.ts";
import { readMessage } from "./message.ts";
import { otherProtocol, TELLING_BYTES } from "./other-protocol.ts";
import type { ClientHelloResult, HelloRefusal } from "./result.ts";
import { refusal } from "./result.ts";

const RECORD_HEAD_BYTES = 5;
const MESSAGE_HEAD_BYTES = 4;
const HANDSHAKE_RECORD = 22;
/** Change of cipher, alert, handshake, application data, heartbeat: 20 to 24. */
const FIRST_RECORD_TYPE = 20;
const LAST_RECORD_TYPE = 24;
const CLIENT_HELLO = 1;
const FIRST_ROOM_BYTES = 2_048;
const NEED_MORE: ClientHelloResult = { state: "need-more" };

/**
 * Reads the ClientHello at the front of one connection. It keeps a copy of the hello at most; whoever hands the connection
 * on keeps the pieces themselves, which are not changed.
 */
export class ClientHelloReader {
  readonly #head = Buffer.alloc(TELLING_BYTES);
  /** Bytes in `#head`: of the record's head, or of another protocol. */
  #headLength = 0;
  /** Bytes of the open record that are still to come. */
  #recordLeft = 0;
  /** Handshake bytes so far, in a room that grows with them. */
  #message: Buffer = Buffer.alloc(0);
  #messageLength = 0;
  #taken = 0;
  #result: ClientHelloResult = NEED_MORE;

  /** What the connection is, with this piece behind the earlier ones. After a hello or a refusal it stays that. */
  push(piece: Uint8Array): ClientHelloResult {
    let at = 0;
    while (at < piece.length && this.#result.state === "need-more") {
      if (this.#recordLeft > 0) {
        at += this.#takeContent(piece, at);
      } else {
        this.#takeHeadByte(piece[at] ?? 0);
        at += 1;
      }
      // Reached by tiny records, whose heads count too.
      if (this.#taken === MAX_CLIENT_HELLO_BYTES && this.#result.state === "need-more") {
        this.#result = refusal("too-long");
      }
    }
    return this.#result;
  }

  #takeHeadByte(byte: number): void {
    this.#head[this.#headLength] = byte;
    this.#headLength += 1;
    this.#taken += 1;
    const head = this.#head.subarray(0, this.#headLength);
    const type = head[0] ?? 0;
    if (type < FIRST_RECORD_TYPE || type > LAST_RECORD_TYPE) {
      this.#result = this.#messageLength === 0 ? otherProtocol(head) : refusal("record");
      return;
    }
    const problem = recordProblem(head);
    if (problem !== undefined) {
      this.#result = problem;
    } else if (this.#headLength === RECORD_HEAD_BYTES) {
      this.#recordLeft = head.readUInt16BE(3);
      this.#headLength = 0;
    }
  }

  /** Takes what the piece holds of the open record; how many bytes that is. */
  #takeContent(piece: Uint8Array, from: number): number {
    const length = Math.min(this.#recordLeft, piece.length - from, MAX_CLIENT_HELLO_BYTES - this.#taken);
    this.#makeRoom(this.#messageLength + length);
    this.#message.set(piece.subarray(from, from + length), this.#messageLength);
    this.#messageLength += length;
    this.#recordLeft -= length;
    this.#taken += length;
    this.#result = this.#read();
    return length;
  }

  #makeRoom(length: number): void {
    if (length <= this.#message.length) return;
    const room = Buffer.alloc(Math.max(length, FIRST_ROOM_BYTES, this.#message.length * 2));
    this.#message.copy(room, 0, 0, this.#messageLength);
    this.#message = room;
  }

  #read(): ClientHelloResult {
    if (this.#message[0] !== CLIENT_HELLO) return refusal("message");
    if (this.#messageLength < MESSAGE_HEAD_BYTES) return NEED_MORE;
    const end = MESSAGE_HEAD_BYTES + this.#message.readUIntBE(1, 3);
    if (end > MAX_CLIENT_HELLO_BYTES - RECORD_HEAD_BYTES) return refusal("too-long");
    // The hello ends its record, for the keys change behind it (RFC 8446, section 5.1).
    if (this.#messageLength + this.#recordLeft > end) return refusal("message");
    if (this.#messageLength < end) return NEED_MORE;
    const said = readMessage(this.#message.subarray(MESSAGE_HEAD_BYTES, end));
    return said.state === "hello" ? { ...said, byteLength: this.#taken } : said;
  }
}

/** What is wrong with a record's head as far as it is there; RFC 8446, section 5.1, forbids empty ones of this type. */
function recordProblem(head: Buffer): HelloRefusal | undefined {
  if (head[0] !== HANDSHAKE_RECORD) return refusal("record");
  // The major version is 3 in every version of TLS, the minor one anything.
  if (head.length === 2 && head[1] !== 3) return refusal("not-tls", "protocol_version");
  if (head.length < RECORD_HEAD_BYTES) return undefined;
  const length = head.readUInt16BE(3);
  if (length > MAX_RECORD_BYTES) return refusal("record", "record_overflow");
  return length === 0 ? refusal("record") : undefined;
}
