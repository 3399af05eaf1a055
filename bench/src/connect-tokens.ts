// What the clients of the benchmark "connect" show: 64 connect tokens, and 64 tokens of the same claims for the peers
// that know no Ed25519.
import { randomBytes } from "node:crypto";
import { generateSigningKey, issueConnectToken, SigningKey } from "@sallyport/connect-token/issue";
import { exportSPKI, generateKeyPair, SignJWT } from "jose";

/** How many: each request carries the next one. */
export const TOKENS = 64;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const USER = { user_id: "bench", roles: ["reader", "writer"] };

export interface ConnectTokens {
  readonly issuer: string;
  readonly sandboxId: string;
  readonly workspaceId: string;
  readonly instanceId: string;
  /** The public half of the key that signed `ours`, as a JWK set. */
  readonly keySet: object;
  readonly ours: readonly string[];
  /** ES256, the same claims. */
  readonly es256: readonly string[];
  /** The public half of the key that signed `es256`, PEM. */
  readonly es256Key: string;
}

export async function makeTokens(): Promise<ConnectTokens> {
  const issuer = `sallyport:pf-${randomId()}`;
  const sandboxId = `sb-${randomId()}`;
  const workspaceId = `ws-${randomId()}`;
  const instanceId = `in-${randomId()}`;
  const key = await SigningKey.import(await generateSigningKey("connect-token"));
  const ids = Array.from({ length: TOKENS }, () => `ct-${randomId()}`);
  const now = () => Date.now();
  const ours: string[] = [];
  for (const id of ids) {
    const wanted = { id, sandboxId, workspaceId, epoch: 0, userMetadata: USER };
    ours.push((await issueConnectToken(wanted, { issuer, key, now })).token);
  }
  const pair = await generateKeyPair("ES256");
  const es256: string[] = [];
  for (const id of ids) {
    const claims = { ws: workspaceId, port: 8080, ud: JSON.stringify(USER), ep: 0 };
    const token = new SignJWT(claims).setProtectedHeader({ alg: "ES256" }).setIssuer(issuer).setAudience(sandboxId);
    es256.push(await token.setIssuedAt().setExpirationTime("1h").setJti(id).sign(pair.privateKey));
  }
  return {
    issuer,
    sandboxId,
    workspaceId,
    instanceId,
    keySet: { keys: [key.publicJwk] },
    ours,
    es256,
    es256Key: await exportSPKI(pair.publicKey),
  };
}

function randomId(): string {
  return Array.from(randomBytes(26), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}
