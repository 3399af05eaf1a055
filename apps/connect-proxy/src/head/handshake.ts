// The opening handshake of WebSocket (RFC 6455, section 4), from both sides.
import { createHash } from "node:crypto";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Base64 of 16 bytes, in its one spelling (section 4.1, item 7). */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** What the fields of a request say of a handshake. Each value as often as it came. */
export interface HandshakeFields {
  readonly upgrades: readonly string[];
  readonly keys: readonly string[];
  readonly versions: readonly string[];
}

/** The key, if the fields are those of a complete handshake; the request line and `Connection` are the caller's to check. */
export function handshakeKey({ keys, upgrades, versions }: HandshakeFields): string | undefined {
  const [upgrade] = upgrades;
  const [key] = keys;
  if (upgrades.length !== 1 || upgrade?.toLowerCase() !== "websocket") return undefined;
  if (versions.length !== 1 || versions[0] !== "13") return undefined;
  return keys.length === 1 && key !== undefined && KEY.test(key) ? key : undefined;
}

/** What an app must say in Sec-WebSocket-Accept to this key (section 4.2.2, item 5). */
export function acceptOf(key: string): string {
  return createHash("sha1").update(key).update(GUID).digest("base64");
}
