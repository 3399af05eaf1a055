// ClientHellos put together by hand, and cut into records.

/** An extension: type and content. */
export type Extension = readonly [type: number, content: Buffer];

/** A vector behind its length in so many bytes. */
export function vector(size: 1 | 2, content: Buffer): Buffer {
  const length = Buffer.alloc(size);
  length.writeUIntBE(content.length, 0, size);
  return Buffer.concat([length, content]);
}

/** The server_name extension of some text. */
export function serverName(text: string): Extension {
  return [0, vector(2, Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(text, "latin1"))]))];
}

/** The ALPN extension of some names. */
export function alpn(...names: readonly string[]): Extension {
  return [16, vector(2, Buffer.concat(names.map((name) => vector(1, Buffer.from(name, "latin1")))))];
}

/** The supported_versions extension of a hello. */
export function versions(...numbers: readonly number[]): Extension {
  return [43, vector(1, Buffer.from(numbers.flatMap((number) => [number >> 8, number & 0xff])))];
}

export interface HelloParts {
  readonly version?: number;
  readonly sessionId?: Buffer;
  readonly ciphers?: Buffer;
  readonly compression?: Buffer;
  /** Undefined: not even an empty block of them. */
  readonly extensions?: readonly Extension[] | undefined;
}

/** A whole message, with its type and length. */
export function helloMessage(parts: HelloParts): Buffer {
  const version = Buffer.alloc(2);
  version.writeUInt16BE(parts.version ?? 0x0303);
  const body = Buffer.concat([
    version,
    Buffer.alloc(32, 0x5a),
    vector(1, parts.sessionId ?? Buffer.alloc(32, 0xa5)),
    vector(2, parts.ciphers ?? Buffer.from([0x13, 0x01, 0xc0, 0x2b])),
    vector(1, parts.compression ?? Buffer.alloc(1)),
    parts.extensions === undefined ? Buffer.alloc(0) : extensionBlock(parts.extensions),
  ]);
  return message(body);
}

/** A handshake message around a body: a ClientHello unless told otherwise. */
export function message(body: Buffer, type = 1): Buffer {
  const head = Buffer.from([type, 0, 0, 0]);
  head.writeUIntBE(body.length, 1, 3);
  return Buffer.concat([head, body]);
}

function extensionBlock(extensions: readonly Extension[]): Buffer {
  const block = extensions.map(([type, content]) => {
    const number = Buffer.alloc(2);
    number.writeUInt16BE(type);
    return Buffer.concat([number, vector(2, content)]);
  });
  return vector(2, Buffer.concat(block));
}

/** Handshake bytes in records of so many bytes at most. */
export function inRecords(handshake: Buffer, size = 16_384): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < handshake.length; at += size) {
    records.push(Buffer.from([22, 3, 1]), vector(2, handshake.subarray(at, at + size)));
  }
  return Buffer.concat(records);
}

/** The handshake bytes of records, heads taken off. */
export function withoutRecords(records: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < records.length; ) {
    const end = at + 5 + records.readUInt16BE(at + 3);
    pieces.push(records.subarray(at + 5, end));
    at = end;
  }
  return Buffer.concat(pieces);
}
