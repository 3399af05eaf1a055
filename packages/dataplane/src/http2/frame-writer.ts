// Writes frames.
import type { ErrorName } from "./wire.ts";
import { ERROR_CODE, FLAG, FRAME, FRAME_HEAD_BYTES } from "./wire.ts";

/** A frame with room for so many bytes behind its head, which are not zeroed. */
export function newFrame(type: number, flags: number, streamId: number, length: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length);
  frame.writeUIntBE(length, 0, 3);
  frame[3] = type;
  frame[4] = flags;
  frame.writeUInt32BE(streamId, 5);
  return frame;
}

/** SETTINGS by identifier; the same one twice is two settings. */
export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const frame = newFrame(FRAME.settings, 0, 0, settings.length * 6);
  let at = FRAME_HEAD_BYTES;
  for (const [id, value] of settings) {
    frame.writeUInt16BE(id, at);
    frame.writeUInt32BE(value, at + 2);
    at += 6;
  }
  return frame;
}

export function rstStreamFrame(streamId: number, code: ErrorName): Buffer {
  const frame = newFrame(FRAME.rstStream, 0, streamId, 4);
  frame.writeUInt32BE(ERROR_CODE[code], FRAME_HEAD_BYTES);
  return frame;
}

/** `about`: debug data, for whoever looks into a trace. */
export function goawayFrame(lastStreamId: number, code: ErrorName, about = ""): Buffer {
  const frame = newFrame(FRAME.goaway, 0, 0, 8 + Buffer.byteLength(about));
  frame.writeUInt32BE(lastStreamId, FRAME_HEAD_BYTES);
  frame.writeUInt32BE(ERROR_CODE[code], FRAME_HEAD_BYTES + 4);
  frame.write(about, FRAME_HEAD_BYTES + 8);
  return frame;
}

export function windowUpdateFrame(streamId: number, increment: number): Buffer {
  const frame = newFrame(FRAME.windowUpdate, 0, streamId, 4);
  frame.writeUInt32BE(increment, FRAME_HEAD_BYTES);
  return frame;
}

/** Of eight bytes. */
export function pingFrame(opaque: Uint8Array): Buffer {
  const frame = newFrame(FRAME.ping, 0, 0, 8);
  frame.set(opaque.subarray(0, 8), FRAME_HEAD_BYTES);
  return frame;
}

/** A header block as HEADERS and, where it is longer than a frame may be, CONTINUATION (section 4.3), one behind the other. */
export function headersFrames(streamId: number, block: Buffer, endStream: boolean, maxFrameBytes: number): Buffer {
  const count = Math.max(1, Math.ceil(block.length / maxFrameBytes));
  const frames = Buffer.allocUnsafe(block.length + count * FRAME_HEAD_BYTES);
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const from = index * maxFrameBytes;
    const length = Math.min(maxFrameBytes, block.length - from);
    frames.writeUIntBE(length, at, 3);
    frames[at + 3] = index === 0 ? FRAME.headers : FRAME.continuation;
    frames[at + 4] = (index === 0 && endStream ? FLAG.endStream : 0) | (index === count - 1 ? FLAG.endHeaders : 0);
    frames.writeUInt32BE(streamId, at + 5);
    block.copy(frames, at + FRAME_HEAD_BYTES, from, from + length);
    at += FRAME_HEAD_BYTES + length;
  }
  return frames;
}
