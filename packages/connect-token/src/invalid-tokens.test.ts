// Tokens that other verifiers were seen to take. None is taken here, and each is refused for the reason it should be.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { codeOf, failure } from "../test/failure.ts";
import { base64url, macced, malleated, partsOf, signed, strayBits, textOf } from "../test/forge.ts";
import { ISSUER, OTHER_SANDBOX, Platform, SANDBOX, START_MS } from "../test/platform.ts";
import { generateSigningKey, SigningKey } from "./issue.ts";
import { MAX_LIFE_MS, MAX_TOKEN_CHARACTERS } from "./limits.ts";

const platform = await Platform.start();
const jwk = await generateSigningKey("connect-token");
const key = await SigningKey.import(jwk);
/** The platform's private key in the hands of the test: what is refused is refused although it is signed. */
const secret: KeyObject = createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", x: jwk.x, d: jwk.d }, format: "jwk" });
const publicKey = createPublicKey(secret);
const stranger = generateKeyPairSync("ed25519");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });

await platform.publish(key);
const good = await platform.issue({ userMetadata: { user: "foo" } }, key);
const [header, payload, signature] = partsOf(good);
const HEADER = textOf(header);
const CLAIMS = JSON.parse(textOf(payload)) as Record<string, unknown>;
const claims = (changes: Record<string, unknown>): string => JSON.stringify({ ...CLAIMS, ...changes });
const without = (name: string): string => JSON.stringify({ ...CLAIMS, [name]: undefined });
const headerWith = (changes: Record<string, unknown>): string => JSON.stringify({ ...JSON.parse(HEADER), ...changes });
const es256 = (head: string): string => {
  const input = `${base64url(head)}.${payload}`;
  return `${input}.${base64url(sign("sha256", Buffer.from(input), { key: p256.privateKey, dsaEncoding: "ieee-p1363" }))}`;
};
const verify = (token: string) => platform.verifier().verify(token, { sandboxId: SANDBOX });

/** Of a length that has unused bits in its last character. */
const oddPayload = (() => {
  for (const jti of ["ct-1", "ct-11", "ct-111"]) {
    const token = signed(HEADER, claims({ jti }), secret);
    if (partsOf(token)[1].length % 4 !== 0) return partsOf(token);
  }
  throw new Error("one of three lengths in a row has them");
})();

const FORMS: Readonly<Record<string, string>> = {
  empty: "",
  "no dots": header + payload + signature,
  "one dot": `${header}.${payload}`,
  "two dots alone": "..",
  "four parts": `${good}.${signature}`,
  "an empty fourth part": `${good}.`,
  "a dot in front": `.${good}`,
  "no header": `.${payload}.${signature}`,
  "no payload": `${header}..${signature}`,
  "no signature": `${header}.${payload}.`,
  "signature twice": `${header}.${payload}.${signature}${signature}`,
  "padded header": `${header}=.${payload}.${signature}`,
  "padded payload": `${header}.${payload}=.${signature}`,
  "padded signature": `${header}.${payload}.${signature}==`,
  "space in front": ` ${good}`,
  "space behind": `${good} `,
  "newline behind": `${good}\n`,
  "tab in the payload": `${header}.${payload.slice(0, 9)}\t${payload.slice(9)}.${signature}`,
  "newline in the signature": `${header}.${payload}.${signature.slice(0, 40)}\n${signature.slice(40)}`,
  "space in place of a character": `${header}.${payload}.${signature.slice(0, -1)} `,
  "NUL in the header": `${header.slice(0, 4)}\0${header.slice(4)}.${payload}.${signature}`,
  "a wide character": `${header}.${payload}.${signature.slice(0, -1)}Ａ`,
  "the other alphabet": good.replaceAll("-", "+").replaceAll("_", "/").replace(/.$/, "/"),
  "stray bits in the payload": `${oddPayload[0]}.${strayBits(oddPayload[1])}.${oddPayload[2]}`,
  "stray bits in the signature": `${header}.${payload}.${strayBits(signature)}`,
  "a truncated signature": good.slice(0, -1),
  "a truncated signature of whole bytes": good.slice(0, -2),
  "half a token": good.slice(0, good.length / 2),
  "percent-encoded dots": good.replaceAll(".", "%2E"),
  "JSON serialization": JSON.stringify({ protected: header, payload, signature }),
  "one character more than the bound": `${header}.${"A".repeat(MAX_TOKEN_CHARACTERS - header.length - 87)}.${signature}`,
  "a megabyte": `${header}.${"A".repeat(1_000_000)}.${signature}`,
  "a million dots": ".".repeat(1_000_000),

  "alg none, unsigned": `${base64url(headerWith({ alg: "none" }))}.${payload}.`,
  "alg None, signed": signed(headerWith({ alg: "None" }), textOf(payload), secret),
  "alg none, signed": signed(headerWith({ alg: "none" }), textOf(payload), secret),
  "alg Ed25519, the other name": signed(headerWith({ alg: "Ed25519" }), textOf(payload), secret),
  "HS256 with the public key's bytes": macced(
    headerWith({ alg: "HS256" }),
    textOf(payload),
    Buffer.from(jwk.x, "base64url"),
  ),
  "HS256 with the public key's text": macced(headerWith({ alg: "HS256" }), textOf(payload), jwk.x),
  "HS256 with the public key as PEM": macced(
    headerWith({ alg: "HS256" }),
    textOf(payload),
    publicKey.export({ type: "spki", format: "pem" }).toString(),
  ),
  "HS256 under our header": `${header}.${payload}.${partsOf(macced(HEADER, textOf(payload), jwk.x))[2]}`,
  ES256: es256(headerWith({ alg: "ES256" })),
  "a jwk that verifies": signed(
    headerWith({ jwk: stranger.publicKey.export({ format: "jwk" }) }),
    textOf(payload),
    stranger.privateKey,
  ),
  "a jwk in place of the kid": signed(
    headerWith({ kid: undefined, jwk: stranger.publicKey.export({ format: "jwk" }) }),
    textOf(payload),
    stranger.privateKey,
  ),
  jku: signed(headerWith({ jku: "https://198.51.100.7/jwks.json" }), textOf(payload), secret),
  x5u: signed(headerWith({ x5u: "https://198.51.100.7/cert.pem" }), textOf(payload), secret),
  x5c: signed(headerWith({ x5c: ["AAAA"] }), textOf(payload), secret),
  "an empty crit": signed(headerWith({ crit: [] }), textOf(payload), secret),
  "crit of a known name": signed(headerWith({ crit: ["exp"], exp: 1 }), textOf(payload), secret),
  "b64 false": signed(headerWith({ b64: false, crit: ["b64"] }), textOf(payload), secret),
  zip: signed(headerWith({ zip: "DEF" }), textOf(payload), secret),
  cty: signed(headerWith({ cty: "JWT" }), textOf(payload), secret),
  "no typ": signed(headerWith({ typ: undefined }), textOf(payload), secret),
  "typ JWT": signed(headerWith({ typ: "JWT" }), textOf(payload), secret),
  "typ of an assertion": signed(headerWith({ typ: "sallyport-assertion+jwt" }), textOf(payload), secret),
  "typ in capitals": signed(headerWith({ typ: "SALLYPORT-CONNECT+JWT" }), textOf(payload), secret),
  "no kid": signed(headerWith({ kid: undefined }), textOf(payload), secret),
  "a kid that is a path": signed(headerWith({ kid: "../../../../dev/null" }), textOf(payload), secret),
  "a kid that is a number": signed(headerWith({ kid: 1 }), textOf(payload), secret),
  "a kid of __proto__": signed(headerWith({ kid: "__proto__" }), textOf(payload), secret),
  "alg twice": signed(HEADER.replace("{", '{"alg":"none",'), textOf(payload), secret),
  "kid twice": signed(HEADER.replace(/}$/, `,"kid":"${jwk.kid}"}`), textOf(payload), secret),
  "blanks in the header": signed(HEADER.replaceAll(":", ": "), textOf(payload), secret),
  "an escape in the header": signed(HEADER.replace("EdDSA", "\\u0045dDSA"), textOf(payload), secret),
  "another order in the header": signed(
    JSON.stringify({ kid: jwk.kid, typ: "sallyport-connect+jwt", alg: "EdDSA" }),
    textOf(payload),
    secret,
  ),
  "a header that is a list": signed(`[${HEADER}]`, textOf(payload), secret),
  "a header that is null": signed("null", textOf(payload), secret),
  "a byte order mark before the header": signed(`\ufeff${HEADER}`, textOf(payload), secret),
};

const KEYS: Readonly<Record<string, string>> = {
  "a kid that nobody has": signed(headerWith({ kid: "A".repeat(43) }), textOf(payload), secret),
  "the kid of another key, in another case": signed(headerWith({ kid: swapCase(jwk.kid) }), textOf(payload), secret),
};

const SIGNATURES: Readonly<Record<string, string>> = {
  "a stranger's signature": signed(HEADER, textOf(payload), stranger.privateKey),
  "a signature over other claims": `${header}.${base64url(claims({ port: 9_090 }))}.${signature}`,
  "a signature of zeros": `${header}.${payload}.${"A".repeat(86)}`,
  "ES256 under our header": es256(HEADER),
  "a malleated signature": `${header}.${payload}.${malleated(signature)}`,
  "one bit flipped": `${header}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`,
};

const BAD_CLAIMS: Readonly<Record<string, string | Uint8Array>> = {
  "no JSON": "foo",
  nothing: " ",
  "a list": "[]",
  null: "null",
  "a string": '"foo"',
  "blanks in the claims": JSON.stringify(CLAIMS, null, 1),
  "a newline behind the claims": `${JSON.stringify(CLAIMS)}\n`,
  "a claim twice": JSON.stringify(CLAIMS).replace("{", `{"aud":"${OTHER_SANDBOX}",`),
  "the same claim twice": JSON.stringify(CLAIMS).replace(/}$/, `,"port":8080}`),
  "an escape in a name": JSON.stringify(CLAIMS).replace('"aud"', '"\\u0061ud"'),
  "an escape in a value": JSON.stringify(CLAIMS).replace(":pf-", ":\\u0070f-"),
  "another spelling of a number": JSON.stringify(CLAIMS).replace("8080", "8.08e3"),
  "a byte order mark": `\ufeff${JSON.stringify(CLAIMS)}`,
  "no UTF-8": Uint8Array.from([...Buffer.from('{"iss":"'), 0xff, ...Buffer.from('"}')]),
  "nested deep": "[".repeat(900),
  "user data that breaks a header": claims({ ud: '"a\r\nX-Evil: 1"' }),
  "user data that is no JSON": claims({ ud: "foo" }),
  "user data that is an object": claims({ ud: { user: "foo" } }),
  "user data with blanks": claims({ ud: '{ "user": "foo" }' }),
  "user data beyond ASCII": claims({ ud: '"é"' }),
  "user data of 512 characters": claims({ ud: JSON.stringify("a".repeat(510)) }),
  "empty user data": claims({ ud: "" }),
  "aud as a list": claims({ aud: [SANDBOX] }),
  "aud as a list of two": claims({ aud: [SANDBOX, OTHER_SANDBOX] }),
  "port 0": claims({ port: 0 }),
  "port 65536": claims({ port: 65_536 }),
  "port as text": claims({ port: "8080" }),
  "port with a fraction": claims({ port: 8080.5 }),
  "a negative epoch": claims({ ep: -1 }),
  "an epoch as text": claims({ ep: "3" }),
  "embed false": claims({ embed: false }),
  "exp as text": claims({ exp: String(CLAIMS["exp"]) }),
  "exp null": claims({ exp: null }),
  "exp beyond numbers": claims({}).replace(String(CLAIMS["exp"]), "1e999"),
  "exp before iat": claims({ exp: Number(CLAIMS["iat"]) - 1 }),
  "exp at iat": claims({ exp: CLAIMS["iat"] }),
  "exp with a fraction": claims({ exp: Number(CLAIMS["exp"]) - 0.5 }),
  "a life longer than any": claims({ exp: Number(CLAIMS["iat"]) + MAX_LIFE_MS / 1_000 + 1 }),
  "no iss": without("iss"),
  "no aud": without("aud"),
  "no ws": without("ws"),
  "no port": without("port"),
  "no ep": without("ep"),
  "no iat": without("iat"),
  "no exp": without("exp"),
  "no jti": without("jti"),
};

const UNKNOWN_CLAIMS: Readonly<Record<string, unknown>> = {
  only: { path: ["/api"], methods: ["GET"], source: ["198.51.100.0/24"] },
  "only ": {},
  nbf: 1,
  sub: "foo",
  crit: ["only"],
  AUD: OTHER_SANDBOX,
  constructor: 1,
};

const cases = (tokens: Readonly<Record<string, string | Uint8Array>>) => Object.entries(tokens);

describe("a token with", () => {
  beforeAll(async () => {
    expect((await verify(good)).userData).toBe('{"user":"foo"}');
    // The forger signs as the issuer does: what follows is not refused for a mistake of the test.
    expect(signed(HEADER, textOf(payload), secret)).toBe(good);
  });

  it.each(cases(FORMS))("%s is malformed", async (_, token) => {
    expect(await codeOf(() => verify(String(token)))).toBe("Malformed");
  });

  it.each(cases(KEYS))("%s has no key", async (_, token) => {
    expect(await codeOf(() => verify(String(token)))).toBe("UnknownKey");
  });

  it.each(cases(SIGNATURES))("%s is not signed", async (_, token) => {
    expect(await codeOf(() => verify(String(token)))).toBe("BadSignature");
  });

  it.each(cases(BAD_CLAIMS))("%s has bad claims, though signed", async (_, text) => {
    expect(await codeOf(() => verify(signed(HEADER, text, secret)))).toBe("BadClaims");
  });

  it.each(Object.entries(UNKNOWN_CLAIMS))("a claim %j is refused, though signed", async (name, value) => {
    const text = JSON.stringify({ ...CLAIMS, [name]: value });
    expect(await codeOf(() => verify(signed(HEADER, text, secret)))).toBe("UnknownClaim");
  });

  it("a claim __proto__ is refused, though signed", async () => {
    const text = JSON.stringify(CLAIMS).replace(/}$/, ',"__proto__":{"port":9090}}');
    expect(await codeOf(() => verify(signed(HEADER, text, secret)))).toBe("UnknownClaim");
  });

  it.each([
    ["another platform", { iss: `${ISSUER}x` }, "WrongIssuer"],
    ["another sandbox", { aud: OTHER_SANDBOX }, "WrongSandbox"],
    ["an end that is past", { iat: START_MS / 1_000 - 60, exp: START_MS / 1_000 }, "Expired"],
    ["a beginning that is far", { iat: START_MS / 1_000 + 31, exp: START_MS / 1_000 + 60 }, "NotYetValid"],
    ["an old epoch", { ep: 2 }, "Revoked"],
  ])("%s is refused", async (_, changes, code) => {
    expect(await codeOf(() => verify(signed(HEADER, claims(changes), secret)))).toBe(code);
  });

  it("the key of assertions is refused, whatever its typ", async () => {
    const asserting = await generateSigningKey("assertion");
    await platform.publish(key, await SigningKey.import(asserting));
    const theirs = createPrivateKey({
      key: { kty: "OKP", crv: "Ed25519", x: asserting.x, d: asserting.d },
      format: "jwk",
    });
    expect(await codeOf(() => verify(signed(headerWith({ kid: asserting.kid }), textOf(payload), theirs)))).toBe(
      "UnknownKey",
    );
  });
});

describe("an error", () => {
  it("quotes nothing of a token", async () => {
    const tokens = [...Object.values(FORMS), ...Object.values(KEYS), ...Object.values(SIGNATURES)];
    const texts = Object.values(BAD_CLAIMS).map((text) => signed(HEADER, text, secret));
    for (const token of [...tokens, ...texts]) {
      const { cause, message } = await failure(() => verify(token));
      expect(message).toMatch(/^[a-z ,]+$/);
      expect(cause).toBeUndefined();
    }
  });
});

function swapCase(text: string): string {
  return Array.from(text)
    .map((one) => (one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase()))
    .join("");
}
