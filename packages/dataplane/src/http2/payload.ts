// Where the content of a padded frame lies (RFC 9113, sections 6.1 and 6.2).
import { Http2Error } from "./errors.ts";
import { FLAG, FRAME_HEAD_BYTES } from "./wire.ts";

/** Bytes of a DATA frame without padding, of which flow control counts the rest too. */
export function dataBytes(flags: number, frame: Buffer): number {
  return frame.length - FRAME_HEAD_BYTES - paddingBytes(flags, frame);
}

/** Bytes of padding with the byte that says how many; throws where they are as many as the payload, or more. */
export function paddingBytes(flags: number, frame: Buffer): number {
  if ((flags & FLAG.padded) === 0) return 0;
  const length = frame.length - FRAME_HEAD_BYTES;
  if (length === 0) throw new Http2Error("FRAME_SIZE_ERROR", "a padded frame has no length of its padding");
  const padding = (frame[FRAME_HEAD_BYTES] ?? 0) + 1;
  if (padding > length) throw new Http2Error("PROTOCOL_ERROR", "a frame has more padding than payload");
  return padding;
}
