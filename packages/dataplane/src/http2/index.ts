// HTTP/2 as bytes (RFC 9113) and its header compression (RFC 7541): frames, header blocks, what messages may be. No I/O.

export { ClientPreface } from "./client-preface.ts";
export { Http2Error } from "./errors.ts";
export type { FrameSink } from "./frame-reader.ts";
export { FrameReader } from "./frame-reader.ts";
export {
  goawayFrame,
  headersFrames,
  newFrame,
  pingFrame,
  rstStreamFrame,
  settingsFrame,
  windowUpdateFrame,
} from "./frame-writer.ts";
export type { EndingStreams } from "./graceful-end.ts";
export { GracefulEnd } from "./graceful-end.ts";
export type { HeaderBlock, HeaderBlockLimits } from "./header-block.ts";
export { checkDependency, HeaderBlockReader } from "./header-block.ts";
export type { DecoderLimits, HeaderList } from "./hpack/decoder.ts";
export { HpackDecoder } from "./hpack/decoder.ts";
export { encodeHeaders } from "./hpack/encoder.ts";
export type { HeaderField } from "./hpack/field.ts";
export { NO_TABLE_TEXT, nameText, statusText, valueText } from "./hpack/literals.ts";
export { trailersProblem } from "./message-fields.ts";
export { dataBytes } from "./payload.ts";
export type { MalformedRequest, RequestHead } from "./request-head.ts";
export { readRequestHead } from "./request-head.ts";
export type { Setting } from "./settings.ts";
export { readSettings } from "./settings.ts";
export type { ErrorName } from "./wire.ts";
export {
  DEFAULT_HEADER_TABLE_BYTES,
  DEFAULT_MAX_FRAME_BYTES,
  ERROR_CODE,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  MAX_31_BITS,
  PREFACE,
  SETTING,
} from "./wire.ts";
