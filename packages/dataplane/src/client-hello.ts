// Reads the server name out of the first bytes of a TLS connection (RFC 8446, section 4.1.2; RFC 6066, section 3), before
// anything else looks at them. What is out of shape is no hello: whoever speaks TLS for real judges the rest.

/** The most bytes of a ClientHello with its records' heads; those with post-quantum key shares have some 2,000. */
export const MAX_CLIENT_HELLO_BYTES = 17_408;

export type ClientHello =
  /** More bytes may make it one. */
  | { readonly kind: "incomplete" }
  /** No ClientHello, or a longer one than {@link MAX_CLIENT_HELLO_BYTES}. */
  | { readonly kind: "invalid" }
  /** `serverName` in lower case, undefined where the client names none. */
  | { readonly kind: "hello"; readonly serverName: string | undefined };

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const RECORD_HEAD_BYTES = 5;
const MESSAGE_HEAD_BYTES = 4;
/** RFC 8446, section 5.1. */
const MAX_RECORD_BYTES = 16_384;
/** A name as it may stand there: no final dot, ASCII (RFC 6066, section 3). */
const NAME = /^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$/;
const MAX_NAME_CHARACTERS = 253;

const INVALID: ClientHello = { kind: "invalid" };
const INCOMPLETE: ClientHello = { kind: "incomplete" };

/** What these first bytes of a connection are. Never throws. */
export function parseClientHello(bytes: Uint8Array): ClientHello {
  const message = joinRecords(bytes);
  if (message === "invalid") return INVALID;
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return INVALID;
  if (message.length < MESSAGE_HEAD_BYTES) return INCOMPLETE;
  const length = ((message[1] ?? 0) << 16) | ((message[2] ?? 0) << 8) | (message[3] ?? 0);
  if (length > MAX_CLIENT_HELLO_BYTES) return INVALID;
  if (message.length < MESSAGE_HEAD_BYTES + length) {
    return bytes.length < MAX_CLIENT_HELLO_BYTES ? INCOMPLETE : INVALID;
  }
  try {
    return {
      kind: "hello",
      serverName: serverNameOf(new Reader(message.subarray(MESSAGE_HEAD_BYTES, MESSAGE_HEAD_BYTES + length))),
    };
  } catch (error) {
    if (error instanceof OutOfShape) return INVALID;
    throw error;
  }
}

/** The handshake bytes of all records so far, which may cut a message anywhere. */
function joinRecords(bytes: Uint8Array): Buffer | "invalid" {
  const pieces: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== HANDSHAKE_RECORD) return "invalid";
    // The major version is 3 in every version of TLS, the minor one anything.
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return "invalid";
    if (at + RECORD_HEAD_BYTES > bytes.length) break;
    const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    if (length === 0 || length > MAX_RECORD_BYTES) return "invalid";
    at += RECORD_HEAD_BYTES;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return Buffer.concat(pieces);
}

class OutOfShape extends Error {}

/** Reads vectors off a message; throws OutOfShape where they say more than there is. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(size: 1 | 2): number {
    return this.bytes(size).readUIntBE(0, size);
  }

  bytes(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new OutOfShape("more is announced than there is");
    const piece = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return piece;
  }

  /** A vector behind its length in so many bytes. */
  vector(size: 1 | 2): Buffer {
    return this.bytes(this.number(size));
  }
}

function serverNameOf(hello: Reader): string | undefined {
  hello.bytes(2 + 32); // version, random
  hello.vector(1); // session id
  hello.vector(2); // cipher suites
  hello.vector(1); // compression methods
  if (hello.isAtEnd) return undefined;
  const extensions = new Reader(hello.vector(2));
  if (!hello.isAtEnd) throw new OutOfShape("bytes behind the extensions");
  let name: string | undefined;
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type !== SERVER_NAME) continue;
    if (name !== undefined) throw new OutOfShape("two server names");
    name = hostNameOf(new Reader(content));
  }
  return name;
}

/** One name of one kind: nobody has ever defined another kind, and two of one are forbidden. */
function hostNameOf(content: Reader): string {
  const list = new Reader(content.vector(2));
  if (!content.isAtEnd || list.number(1) !== HOST_NAME) throw new OutOfShape("no list of host names");
  const text = list.vector(2).toString("latin1");
  if (!list.isAtEnd || text.length > MAX_NAME_CHARACTERS || !NAME.test(text)) throw new OutOfShape("no host name");
  return text.toLowerCase();
}
