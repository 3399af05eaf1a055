// Writes a header in front of a connection that is handed on.
import { addressBytes, inIpv6 } from "./address.ts";
import { crc32c } from "./crc32c.ts";
import {
  COMMAND_AT,
  CRC32C_BYTES,
  CRC32C_TLV,
  FAMILY_AT,
  HEAD_BYTES,
  LENGTH_AT,
  LOCAL,
  PROXY,
  SIGNATURE,
  TCP4,
  TCP6,
  TLV_HEAD_BYTES,
  UNSPEC,
} from "./format.ts";
import type { Endpoint, ProxyHeader } from "./header.ts";

const MAX_PORT = 65_535;
const EMPTY: Buffer = Buffer.alloc(0);

export interface WriteOptions {
  /** Adds a checksum of the header. Default: none. */
  readonly checksum?: boolean;
}

/**
 * The bytes of a header. When only one of two addresses is IPv6, the other is written inside an IPv6 one. Throws
 * `RangeError` when an address is no IP address, or a port no port.
 */
export function formatProxyHeader(header: ProxyHeader, options: WriteOptions = {}): Buffer {
  const { family, addresses } = addressesOf(header);
  const checksum = options.checksum === true ? Buffer.alloc(TLV_HEAD_BYTES + CRC32C_BYTES) : EMPTY;
  const bytes = Buffer.concat([SIGNATURE, Buffer.alloc(HEAD_BYTES - SIGNATURE.length), addresses, checksum]);
  bytes[COMMAND_AT] = header.kind === "local" ? LOCAL : PROXY;
  bytes[FAMILY_AT] = family;
  bytes.writeUInt16BE(bytes.length - HEAD_BYTES, LENGTH_AT);
  if (checksum.length > 0) {
    const at = HEAD_BYTES + addresses.length;
    bytes[at] = CRC32C_TLV;
    bytes.writeUInt16BE(CRC32C_BYTES, at + 1);
    bytes.writeUInt32BE(crc32c(bytes), at + TLV_HEAD_BYTES);
  }
  return bytes;
}

function addressesOf(header: ProxyHeader): { family: number; addresses: Buffer } {
  if (header.kind !== "tcp") return { family: UNSPEC, addresses: EMPTY };
  const source = bytesOf(header.source, "source");
  const destination = bytesOf(header.destination, "destination");
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(header.source.port, 0);
  ports.writeUInt16BE(header.destination.port, 2);
  const isIpv4 = source.length === destination.length && source.length === 4;
  const pair = isIpv4 ? [source, destination] : [inIpv6(source), inIpv6(destination)];
  return { family: isIpv4 ? TCP4 : TCP6, addresses: Buffer.concat([...pair, ports]) };
}

function bytesOf({ address, port }: Endpoint, field: string): Buffer {
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT) {
    throw new RangeError(`${field}.port is no port number from 0 to ${MAX_PORT}`);
  }
  const bytes = addressBytes(address);
  if (bytes === undefined) throw new RangeError(`${field}.address is no IP address`);
  return bytes;
}
