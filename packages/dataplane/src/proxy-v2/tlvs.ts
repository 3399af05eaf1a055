// The TLVs behind a header's addresses: passed over, but for the checksum.
import { crc32c } from "./crc32c.ts";
import { CRC32C_BYTES, CRC32C_TLV, MAX_TLVS, TLV_HEAD_BYTES } from "./format.ts";

/** What is wrong with TLVs. */
export type TlvProblem = "too-many-tlvs" | "malformed" | "checksum";

/** Goes through a whole header's TLVs, which begin at `from`; what is wrong with them, if anything. */
export function tlvProblem(header: Buffer, from: number): TlvProblem | undefined {
  let checksumAt: number | undefined;
  let count = 0;
  let at = from;
  while (at < header.length) {
    if (count === MAX_TLVS) return "too-many-tlvs";
    if (at + TLV_HEAD_BYTES > header.length) return "malformed";
    const length = header.readUInt16BE(at + 1);
    const valueAt = at + TLV_HEAD_BYTES;
    if (valueAt + length > header.length) return "malformed";
    if (header[at] === CRC32C_TLV) {
      if (length !== CRC32C_BYTES || checksumAt !== undefined) return "malformed";
      checksumAt = valueAt;
    }
    count += 1;
    at = valueAt + length;
  }
  return checksumAt === undefined || isRight(header, checksumAt) ? undefined : "checksum";
}

/** Whether the checksum at a place is that of the header with zeroes in this place. */
function isRight(header: Buffer, at: number): boolean {
  const zeroed = Buffer.from(header).fill(0, at, at + CRC32C_BYTES);
  return crc32c(zeroed) === header.readUInt32BE(at);
}
