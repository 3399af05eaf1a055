// Close frames of the proxy's own (RFC 6455, section 5.5.1).
import { randomBytes } from "node:crypto";

/** Why the proxy ends a WebSocket (section 7.4.1). */
export const GOING_AWAY = 1001;
export const POLICY_VIOLATION = 1008;

const FIN_AND_CLOSE = 0x88;
const MASKED = 0x80;

/** `masked`: to a server, as a client has to (section 5.3). The reason is short ASCII. */
export function closeFrame(status: number, reason: string, masked: boolean): Buffer {
  const payload = Buffer.alloc(2 + reason.length);
  payload.writeUInt16BE(status);
  payload.write(reason, 2, "latin1");
  if (!masked) return Buffer.concat([Buffer.from([FIN_AND_CLOSE, payload.length]), payload]);
  const mask = randomBytes(4);
  for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % mask.length] ?? 0);
  return Buffer.concat([Buffer.from([FIN_AND_CLOSE, MASKED | payload.length]), mask, payload]);
}
