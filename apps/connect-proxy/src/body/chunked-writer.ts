// The chunked coding, written: no extensions, one chunk for each piece.
import type { RawHeader } from "@sallyport/connect-token/verify";

const LAST_CHUNK = Buffer.from("0\r\n\r\n", "latin1");
const CRLF_BYTES = 2;

/** One chunk, in bytes of its own. Pieces of nothing make none: an empty chunk would end the body. */
export function chunkOf(pieces: readonly Buffer[], before = ""): Buffer {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const start = length === 0 ? before : `${before}${length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(start.length + length + (length === 0 ? 0 : CRLF_BYTES));
  let at = chunk.write(start, 0, "latin1");
  if (length === 0) return chunk;
  for (const piece of pieces) {
    chunk.set(piece, at);
    at += piece.length;
  }
  chunk.write("\r\n", at, "latin1");
  return chunk;
}

/** What ends a chunked body. */
export function lastChunk(trailers: readonly RawHeader[]): Buffer {
  if (trailers.length === 0) return LAST_CHUNK;
  return Buffer.from(`0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`, "latin1");
}
