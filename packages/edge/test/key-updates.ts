// A client of TLS 1.3 that asks for other keys again and again (RFC 8446, section 4.6.3), as no library lets one do.
import { createCipheriv, createHmac } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** What the client has to speak for {@link keyUpdates}. */
export const CIPHER = "TLS_AES_128_GCM_SHA256";
const [APPLICATION_DATA, HANDSHAKE, KEY_UPDATE, UPDATE_REQUESTED] = [23, 22, 24, 1];

/** The secret of what a client sends once its handshake is done. To be called before that. */
export function clientSecret(client: TLSSocket): Promise<Buffer> {
  return new Promise((resolve) => {
    client.on("keylog", (line: Buffer) => {
      const [name, , secret = ""] = line.toString().trim().split(" ");
      if (name === "CLIENT_TRAFFIC_SECRET_0") resolve(Buffer.from(secret, "hex"));
    });
  });
}

/** So many records, of which each asks for an answer, for a client that has sent none yet. */
export function keyUpdates(firstSecret: Buffer, count: number): Buffer {
  let secret = firstSecret;
  const records = Array.from({ length: count }, () => {
    const [key, iv] = [expand(secret, "key", 16), expand(secret, "iv", 12)];
    const content = Buffer.from([KEY_UPDATE, 0, 0, 1, UPDATE_REQUESTED, HANDSHAKE]);
    const head = Buffer.from([APPLICATION_DATA, 3, 3, 0, content.length + 16]);
    const cipher = createCipheriv("aes-128-gcm", key, iv).setAAD(head);
    secret = expand(secret, "traffic upd", 32);
    return Buffer.concat([head, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
  });
  return Buffer.concat(records);
}

/** HKDF-Expand-Label of no context, of one block (section 7.1). */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = `tls13 ${label}`;
  const info = Buffer.concat([Buffer.from([0, length, name.length]), Buffer.from(name), Buffer.from([0, 1])]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, length);
}
