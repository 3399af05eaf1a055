// What can be said of a frame by its head alone: how long it may be and whether it is of a stream (RFC 9113, section 6).
import { Http2Error } from "./errors.ts";
import { FLAG, FRAME, MAX_31_BITS } from "./wire.ts";

interface FrameRule {
  readonly name: string;
  /** Of a stream, of the connection (stream 0), or of either. */
  readonly of: "stream" | "connection" | "either";
  readonly minBytes: number;
  readonly maxBytes: number;
}

const ANY = MAX_31_BITS;

/** By type. ALTSVC and ORIGIN are extensions: a receiver that does not want them ignores them, whatever they hold. */
const RULES: readonly FrameRule[] = [
  { name: "DATA", of: "stream", minBytes: 0, maxBytes: ANY },
  { name: "HEADERS", of: "stream", minBytes: 0, maxBytes: ANY },
  { name: "PRIORITY", of: "stream", minBytes: 5, maxBytes: 5 },
  { name: "RST_STREAM", of: "stream", minBytes: 4, maxBytes: 4 },
  { name: "SETTINGS", of: "connection", minBytes: 0, maxBytes: ANY },
  { name: "PUSH_PROMISE", of: "stream", minBytes: 4, maxBytes: ANY },
  { name: "PING", of: "connection", minBytes: 8, maxBytes: 8 },
  { name: "GOAWAY", of: "connection", minBytes: 8, maxBytes: ANY },
  { name: "WINDOW_UPDATE", of: "either", minBytes: 4, maxBytes: 4 },
  { name: "CONTINUATION", of: "stream", minBytes: 0, maxBytes: ANY },
];
const SETTING_BYTES = 6;

/** Throws {@link Http2Error} for a frame that its type forbids; of an unknown type only the length is judged. */
export function checkFrameHead(
  type: number,
  flags: number,
  streamId: number,
  length: number,
  maxFrameBytes: number,
): void {
  if (length > maxFrameBytes)
    throw new Http2Error("FRAME_SIZE_ERROR", "a frame is longer than SETTINGS_MAX_FRAME_SIZE");
  const rule = RULES[type];
  if (rule === undefined) return;
  if (length < rule.minBytes || length > rule.maxBytes) {
    throw new Http2Error("FRAME_SIZE_ERROR", `${rule.name} has another length`);
  }
  if (rule.of === "stream" && streamId === 0) throw new Http2Error("PROTOCOL_ERROR", `${rule.name} is of no stream`);
  if (rule.of === "connection" && streamId !== 0) throw new Http2Error("PROTOCOL_ERROR", `${rule.name} is of a stream`);
  if (type === FRAME.settings && ((flags & FLAG.ack) === 0 ? length % SETTING_BYTES !== 0 : length !== 0)) {
    throw new Http2Error("FRAME_SIZE_ERROR", "SETTINGS has another length");
  }
}
