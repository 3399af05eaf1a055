// Reads the settings of a frame (RFC 9113, section 6.5.2; RFC 8441, section 3).
import { Http2Error } from "./errors.ts";
import { DEFAULT_MAX_FRAME_BYTES, FRAME_HEAD_BYTES, LARGEST_MAX_FRAME_BYTES, MAX_31_BITS, SETTING } from "./wire.ts";

export type Setting = readonly [id: number, value: number];

/** The settings of a SETTINGS frame in their order, unknown ones among them. Throws for a value that is not allowed. */
export function readSettings(frame: Buffer): readonly Setting[] {
  const settings: Setting[] = [];
  for (let at = FRAME_HEAD_BYTES; at < frame.length; at += 6) {
    const id = frame.readUInt16BE(at);
    const value = frame.readUInt32BE(at + 2);
    checkSetting(id, value);
    settings.push([id, value]);
  }
  return settings;
}

function checkSetting(id: number, value: number): void {
  if ((id === SETTING.enablePush || id === SETTING.enableConnectProtocol) && value > 1) {
    throw new Http2Error("PROTOCOL_ERROR", "a setting is neither on nor off");
  }
  if (id === SETTING.initialWindowSize && value > MAX_31_BITS) {
    throw new Http2Error("FLOW_CONTROL_ERROR", "SETTINGS_INITIAL_WINDOW_SIZE is too large");
  }
  if (id === SETTING.maxFrameSize && (value < DEFAULT_MAX_FRAME_BYTES || value > LARGEST_MAX_FRAME_BYTES)) {
    throw new Http2Error("PROTOCOL_ERROR", "SETTINGS_MAX_FRAME_SIZE is out of range");
  }
}
