// The words of HTTP/2 on the wire (RFC 9113, sections 3.4, 4.1, 6 and 7).

/** What a client sends first, before its first frame (section 3.4). */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** A frame's head: length (3 bytes), type, flags, stream (4 bytes, the first bit is reserved). */
export const FRAME_HEAD_BYTES = 9;
/** SETTINGS_MAX_FRAME_SIZE before anybody says otherwise, and the least that it can be. */
export const DEFAULT_MAX_FRAME_BYTES = 16_384;
export const LARGEST_MAX_FRAME_BYTES = 16_777_215;
/** SETTINGS_HEADER_TABLE_SIZE before anybody says otherwise. */
export const DEFAULT_HEADER_TABLE_BYTES = 4_096;
/** The largest window, window increment and stream identifier. */
export const MAX_31_BITS = 0x7fff_ffff;

export const FRAME = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
  /** RFC 7838. */
  altsvc: 0xa,
  /** RFC 8336. */
  origin: 0xc,
} as const;

export const FLAG = {
  /** Of SETTINGS and PING. */
  ack: 0x1,
  /** Of DATA and HEADERS. */
  endStream: 0x1,
  /** Of HEADERS, PUSH_PROMISE and CONTINUATION. */
  endHeaders: 0x4,
  /** Of DATA, HEADERS and PUSH_PROMISE. */
  padded: 0x8,
  /** Of HEADERS. */
  priority: 0x20,
} as const;

export const SETTING = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  /** RFC 8441. */
  enableConnectProtocol: 0x8,
} as const;

/** Error codes (section 7), by their names there. */
export const ERROR_CODE = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

export type ErrorName = keyof typeof ERROR_CODE;
