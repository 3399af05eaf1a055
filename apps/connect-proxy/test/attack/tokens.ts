// Tokens that open nothing, made by hand with the platform's own key where that is the point.
import type { KeyObject } from "node:crypto";
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";

/** The private half of the platform's key. */
export interface Secret {
  readonly x: string;
  readonly d: string;
}

const base64url = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");
const textOf = (part: string): string => Buffer.from(part, "base64url").toString("latin1");

function signed(header: string, payload: string, key: KeyObject): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${base64url(sign(null, Buffer.from(input), key))}`;
}

function macced(header: string, payload: string, secret: string | Uint8Array): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${base64url(createHmac("sha256", secret).update(input).digest())}`;
}

/** Bent copies of a good token, by what is bent. */
export function badTokens(
  good: string,
  { x, d }: Secret,
  others: Readonly<Record<string, string>>,
): Record<string, string> {
  const [header = "", payload = "", signature = ""] = good.split(".");
  const head = textOf(header);
  const claims = JSON.parse(textOf(payload)) as Record<string, unknown>;
  const key = createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", x, d }, format: "jwk" });
  const pem = createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
  const stranger = generateKeyPairSync("ed25519");
  const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const headed = (changes: Record<string, unknown>) => JSON.stringify({ ...JSON.parse(head), ...changes });
  const claimed = (changes: Record<string, unknown>) => signed(head, JSON.stringify({ ...claims, ...changes }), key);
  const bent = (changes: Record<string, unknown>, by: KeyObject = key) => signed(headed(changes), textOf(payload), by);
  const es256 = `${base64url(headed({ alg: "ES256" }))}.${payload}`;
  const now = Math.floor(Date.now() / 1_000);
  return {
    "alg none": `${base64url(headed({ alg: "none" }))}.${payload}.`,
    "alg None with a signature": bent({ alg: "None" }),
    "alg nOnE without a signature": `${base64url(headed({ alg: "nOnE" }))}.${payload}.`,
    "HS256 with the public key": macced(headed({ alg: "HS256" }), textOf(payload), Buffer.from(x, "base64url")),
    "HS256 with the public key as PEM": macced(headed({ alg: "HS256" }), textOf(payload), pem),
    "HS256 with its text": macced(headed({ alg: "HS256" }), textOf(payload), x),
    ES256: `${es256}.${base64url(sign("sha256", Buffer.from(es256), { key: p256, dsaEncoding: "ieee-p1363" }))}`,
    "a stranger's signature": signed(head, textOf(payload), stranger.privateKey),
    "a stranger's jwk": bent({ jwk: stranger.publicKey.export({ format: "jwk" }) }, stranger.privateKey),
    jku: bent({ jku: "https://127.0.0.1:1/jwks.json" }),
    x5u: bent({ x5u: "https://127.0.0.1:1/cert.pem" }),
    crit: bent({ crit: ["exp"] }),
    "b64 false": bent({ b64: false, crit: ["b64"] }),
    "another kid": bent({ kid: "A".repeat(43) }),
    "no kid": bent({ kid: undefined }),
    "a kid that is a path": bent({ kid: "../../../../dev/null" }),
    "typ JWT": bent({ typ: "JWT" }),
    "another issuer": claimed({ iss: "sallyport:01jother000000000000000000" }),
    "no issuer": claimed({ iss: undefined }),
    "another aud": claimed({ aud: "sb-01hzzzzzzzzzzzzzzzzzzzzzzz" }),
    "a list for aud": claimed({ aud: [claims["aud"]] }),
    expired: claimed({ iat: now - 7_200, exp: now - 3_600 }),
    "expired a second ago": claimed({ exp: now - 1 }),
    "no exp": claimed({ exp: undefined }),
    "exp as text": claimed({ exp: String(now + 3_600) }),
    "exp beyond all bounds": claimed({ exp: now + 10 ** 9 }),
    "issued tomorrow": claimed({ iat: now + 86_400, exp: now + 90_000 }),
    "port 0": claimed({ port: 0 }),
    "port as text": claimed({ port: "8080" }),
    "a negative epoch": claimed({ ep: -1 }),
    "a claim that nobody knows": claimed({ admin: true }),
    "a narrowing that nobody knows": claimed({ only: { path: "/x" } }),
    "user data with a line's end": claimed({ ud: "x\r\nX-Admin: 1" }),
    "user data beyond ASCII": claimed({ ud: '"\xe4"' }),
    truncated: good.slice(0, -1),
    "half of it": good.slice(0, good.length / 2),
    padded: `${good}=`,
    "a blank behind it": `${good} x`,
    "a part more": `${good}.${signature}`,
    "a dot more": `${good}.`,
    "another spelling": good.replaceAll("-", "+").replaceAll("_", "/"),
    "another last character": good.slice(0, -1) + (good.endsWith("A") ? "B" : "A"),
    "a claim changed": `${header}.${base64url(JSON.stringify({ ...claims, ud: '"root"' }))}.${signature}`,
    "100 KiB": `${header}.${"A".repeat(102_400)}.${signature}`,
    ...others,
  };
}
