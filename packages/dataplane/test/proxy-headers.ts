// Headers put together by hand, and what is to be read of them.
import type { ProxyHeader, ProxyHeaderResult } from "../src/proxy-v2/index.ts";
import { ProxyHeaderReader } from "../src/proxy-v2/index.ts";

export const SIGNATURE = "0d0a0d0a000d0a515549540a";
const NOTHING = Buffer.alloc(0);

export function hex(...parts: readonly string[]): Buffer {
  return Buffer.from(parts.join("").replaceAll(" ", ""), "hex");
}

/** A header of hexadecimal command, family and content, its length counted. */
export function header(command: string, family: string, content: string | Buffer): Buffer {
  const bytes = typeof content === "string" ? hex(content) : content;
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([hex(SIGNATURE, command, family), length, bytes]);
}

export function read(...pieces: readonly Uint8Array[]): ProxyHeaderResult {
  const reader = new ProxyHeaderReader();
  let result = reader.push(NOTHING);
  for (const piece of pieces) result = reader.push(piece);
  return result;
}

export function tcp(source: string, sourcePort: number, destination: string, destinationPort: number): ProxyHeader {
  return {
    kind: "tcp",
    source: { address: source, port: sourcePort },
    destination: { address: destination, port: destinationPort },
  };
}

export function whole(said: ProxyHeader, rest = NOTHING): ProxyHeaderResult {
  return { state: "header", header: said, rest };
}

export const V4_ADDRESSES = "0a000001 c0a80102 c001 01bb";
export const V4 = tcp("10.0.0.1", 49_153, "192.168.1.2", 443);
export const V6_ADDRESSES = "20010db8000000000000000000000001 fd000000000000000000000000000abc ffff 0050";
export const V6 = tcp("2001:db8::1", 65_535, "fd00::abc", 80);
