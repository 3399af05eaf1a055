// The ClientHello message itself (RFC 8446, section 4.1.2): what an edge has to know of it, the rest passed over.
import { hostNameOf } from "./host-name.ts";
import type { ClientHello, HelloRefusal } from "./result.ts";
import { refusal } from "./result.ts";
import { Malformed, VectorReader } from "./vectors.ts";

const SERVER_NAME = 0;
const ALPN = 16;
const PRE_SHARED_KEY = 41;
const SUPPORTED_VERSIONS = 43;

/** What the body of a message says, that is, the message without its type and length. Never throws. */
export function readMessage(body: Buffer): Omit<ClientHello, "byteLength"> | HelloRefusal {
  try {
    return readBody(new VectorReader(body));
  } catch (error) {
    if (error instanceof Malformed) return refusal("malformed");
    throw error;
  }
}

function readBody(hello: VectorReader): Omit<ClientHello, "byteLength"> | HelloRefusal {
  const version = hello.number(2);
  if (version >> 8 !== 3) return refusal("malformed", "protocol_version");
  hello.bytes(32); // random
  hello.vector(1, 0, 32); // session id
  if (hello.vector(2, 2).length % 2 !== 0) throw new Malformed("half a cipher suite");
  hello.vector(1, 1); // compression methods
  const extensions = hello.isAtEnd ? new Map<number, Buffer>() : extensionsOf(hello);
  if (extensions === undefined) return refusal("duplicate-extension");
  // Its binders sign all that comes before them (RFC 8446, section 4.2.11).
  if (extensions.has(PRE_SHARED_KEY) && [...extensions.keys()].at(-1) !== PRE_SHARED_KEY) {
    return refusal("malformed", "illegal_parameter");
  }
  const name = extensions.get(SERVER_NAME);
  const serverName = name === undefined ? undefined : hostNameOf(name);
  const alpn = extensions.get(ALPN);
  const versions = extensions.get(SUPPORTED_VERSIONS);
  const result: Omit<ClientHello, "byteLength"> = {
    state: "hello",
    serverName,
    alpn: alpn === undefined ? [] : protocolsOf(alpn),
    supportedVersions: versions === undefined ? [version] : versionsOf(versions),
  };
  return name !== undefined && serverName === undefined ? refusal("server-name") : result;
}

/** By type, in their order; undefined when one type comes twice, which no reader may choose between (section 4.2). */
function extensionsOf(hello: VectorReader): ReadonlyMap<number, Buffer> | undefined {
  const block = new VectorReader(hello.vector(2));
  hello.end();
  const extensions = new Map<number, Buffer>();
  while (!block.isAtEnd) {
    const type = block.number(2);
    const content = block.vector(2);
    if (extensions.has(type)) return undefined;
    extensions.set(type, content);
  }
  return extensions;
}

/** RFC 7301, section 3.1: at least one name, none empty. */
function protocolsOf(content: Buffer): readonly string[] {
  const extension = new VectorReader(content);
  const list = new VectorReader(extension.vector(2, 2));
  extension.end();
  const names: string[] = [];
  while (!list.isAtEnd) names.push(list.vector(1, 1).toString("latin1"));
  return names;
}

/** RFC 8446, section 4.2.1. */
function versionsOf(content: Buffer): readonly number[] {
  const extension = new VectorReader(content);
  const list = new VectorReader(extension.vector(1, 2, 254));
  extension.end();
  const versions: number[] = [];
  while (!list.isAtEnd) versions.push(list.number(2));
  return versions.filter((version) => !isReserved(version));
}

/** A value that clients send lest servers choke on what they do not know (RFC 8701, section 2). */
function isReserved(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}
