// Reads the header at the front of a connection, as its bytes come in. Whoever may open the connection can claim any
// address: a header is to be believed from listed peers only, and to be asked for from all of them.
import { addressText } from "./address.ts";
import {
  COMMAND_AT,
  FAMILY_AT,
  HEAD_BYTES,
  LENGTH_AT,
  LOCAL,
  MAX_PROXY_HEADER_BYTES,
  PROXY,
  SIGNATURE,
  TCP4,
  TCP6,
  UNSPEC,
  VERSION_1,
} from "./format.ts";
import type { ProxyHeader } from "./header.ts";
import type { TlvProblem } from "./tlvs.ts";
import { tlvProblem } from "./tlvs.ts";

/** Why bytes are no header. */
export type ProxyHeaderRefusal =
  /** A header of version 1, which is text: the sender is to be set to version 2. */
  | "version-1"
  /** No header at all: the peer does not send any. */
  | "no-header"
  /** Another version, or a command that is not defined. */
  | "command"
  /** Neither TCP over IPv4 or IPv6, nor unspecified. */
  | "family"
  | "too-long"
  | TlvProblem;

export type ProxyHeaderResult =
  /** More bytes may make it one. */
  | { readonly state: "need-more" }
  /** A whole header; `rest` is what came behind it, the connection's own first bytes. */
  | { readonly state: "header"; readonly header: ProxyHeader; readonly rest: Buffer }
  | { readonly state: "refused"; readonly reason: ProxyHeaderRefusal };

/** Bytes of one address, by the family that a header names. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [TCP4, 4],
  [TCP6, 16],
]);
const NEED_MORE: ProxyHeaderResult = { state: "need-more" };
const NOTHING: Buffer = Buffer.alloc(0);

/** Reads one header. It is refused by the first byte that is wrong, and of what follows it nothing is kept. */
export class ProxyHeaderReader {
  /** Room for all bytes of the header that are awaited: its head, then all of it. */
  #bytes: Buffer = Buffer.alloc(HEAD_BYTES);
  #length = 0;
  #result: ProxyHeaderResult = NEED_MORE;

  /**
   * What the connection begins with, with this piece behind the earlier ones. Not to be called again once the header is
   * whole; after a refusal it stays refused.
   */
  push(piece: Uint8Array): ProxyHeaderResult {
    if (this.#result.state === "header") throw new TypeError("the header is whole: what follows it belongs elsewhere");
    let at = 0;
    while (this.#result.state === "need-more" && at < piece.length) {
      at += this.#take(piece, at);
      this.#result = this.#read();
    }
    if (this.#result.state !== "header") return this.#result;
    this.#result = { ...this.#result, rest: Buffer.from(piece.subarray(at)) };
    return this.#result;
  }

  #take(piece: Uint8Array, from: number): number {
    const length = Math.min(this.#bytes.length - this.#length, piece.length - from);
    this.#bytes.set(piece.subarray(from, from + length), this.#length);
    this.#length += length;
    return length;
  }

  #read(): ProxyHeaderResult {
    const problem = headProblem(this.#bytes.subarray(0, Math.min(this.#length, HEAD_BYTES)));
    if (problem !== undefined) return problem;
    if (this.#length < HEAD_BYTES) return NEED_MORE;
    const end = HEAD_BYTES + this.#bytes.readUInt16BE(LENGTH_AT);
    if (end > MAX_PROXY_HEADER_BYTES) return refused("too-long");
    if (this.#bytes.length < end) this.#bytes = Buffer.concat([this.#bytes], end);
    return this.#length < end ? NEED_MORE : readHeader(this.#bytes);
  }
}

function refused(reason: ProxyHeaderRefusal): ProxyHeaderResult {
  return { state: "refused", reason };
}

/** What is wrong with a header's first bytes, as far as they are there. */
function headProblem(head: Buffer): ProxyHeaderResult | undefined {
  const start = head.subarray(0, SIGNATURE.length);
  if (!SIGNATURE.subarray(0, start.length).equals(start)) {
    const text = head.subarray(0, VERSION_1.length);
    if (!VERSION_1.subarray(0, text.length).equals(text)) return refused("no-header");
    return text.length === VERSION_1.length ? refused("version-1") : NEED_MORE;
  }
  const [command = PROXY, family = UNSPEC] = head.subarray(COMMAND_AT);
  if (command !== LOCAL && command !== PROXY) return refused("command");
  // The family of the sender's own connection is to be ignored, whatever it is.
  if (command === PROXY && family !== UNSPEC && !ADDRESS_BYTES.has(family)) return refused("family");
  return undefined;
}

/** Of all bytes of a header, whose head is right. */
function readHeader(bytes: Buffer): ProxyHeaderResult {
  if (bytes[COMMAND_AT] === LOCAL) return { state: "header", header: { kind: "local" }, rest: NOTHING };
  const size = ADDRESS_BYTES.get(bytes[FAMILY_AT] ?? UNSPEC);
  if (size === undefined) return { state: "header", header: { kind: "unspec" }, rest: NOTHING };
  const portsAt = HEAD_BYTES + 2 * size;
  const tlvsAt = portsAt + 4;
  if (bytes.length < tlvsAt) return refused("malformed");
  const problem = tlvProblem(bytes, tlvsAt);
  if (problem !== undefined) return refused(problem);
  const addressAt = (at: number) => addressText(bytes.subarray(at, at + size));
  const source = { address: addressAt(HEAD_BYTES), port: bytes.readUInt16BE(portsAt) };
  const destination = { address: addressAt(HEAD_BYTES + size), port: bytes.readUInt16BE(portsAt + 2) };
  return { state: "header", header: { kind: "tcp", source, destination }, rest: NOTHING };
}
