// What a published key set may be, and what becomes of keys that are not ours.

import { generateKeyPairSync } from "node:crypto";
import { calculateJwkThumbprint } from "jose";
import { describe, expect, it } from "vitest";
import { codeOf, failure } from "../test/failure.ts";
import { generateSigningKey, SigningKey } from "./issue.ts";
import { parseKeySet } from "./key-set.ts";
import { MAX_KEYS } from "./limits.ts";
import { PURPOSE_MEMBER } from "./wire.ts";

const jwk = await generateSigningKey("connect-token");
const { d: _secret, ...key } = jwk;
const signing = await SigningKey.import(jwk);
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).publicKey.export({ format: "jwk" });
const other = await generateSigningKey("assertion");

describe("a key set", () => {
  it("holds keys by id and purpose, from a value or from text", async () => {
    for (const set of [{ keys: [key] }, JSON.stringify({ keys: [key] })]) {
      const keys = await parseKeySet(set);
      expect(keys.size).toBe(1);
      expect(keys.has(key.kid, "connect-token")).toBe(true);
      expect(keys.get(key.kid, "connect-token")?.type).toBe("public");
      expect(keys.has(key.kid, "assertion")).toBe(false);
      expect(keys.get("__proto__", "connect-token")).toBeUndefined();
    }
    expect((await parseKeySet({ keys: [] })).size).toBe(0);
  });

  it.each<[string, unknown]>([
    ["another algorithm", { ...rsa, kid: "r" }],
    ["another algorithm and purpose unknown", { ...rsa, [PURPOSE_MEMBER]: "connect-token" }],
    ["another curve", { ...key, crv: "Ed448" }],
    ["no purpose", { ...key, [PURPOSE_MEMBER]: undefined }],
    ["an unknown purpose", { ...key, [PURPOSE_MEMBER]: "toString" }],
  ])("skips a key of %s", async (_, skipped) => {
    const { d: _d, ...publicOther } = other;
    expect((await parseKeySet({ keys: [skipped, publicOther] })).size).toBe(1);
  });

  it.each<[string, unknown]>([
    ["no object", null],
    ["a list", [key]],
    ["no JSON", "{"],
    ["no keys", {}],
    ["no keys in the text", "[]"],
    ["keys that are no list", { keys: { 0: key } }],
    ["a key that is no object", { keys: [key, null] }],
    ["a private key", { keys: [jwk] }],
    ["a symmetric key", { keys: [{ kty: "oct", k: "AAAA", kid: "k" }] }],
    ["an id twice", { keys: [key, key] }],
    ["an id twice, once of a key that is skipped", { keys: [{ ...rsa, kid: key.kid }, key] }],
    ["another alg", { keys: [{ ...key, alg: "ES256" }] }],
    ["no alg", { keys: [{ ...key, alg: undefined }] }],
    ["a key for encryption", { keys: [{ ...key, use: "enc" }] }],
    ["no id", { keys: [{ ...key, kid: undefined }] }],
    ["an id that is not the thumbprint", { keys: [{ ...key, kid: other.kid }] }],
    ["a key that is too short", { keys: [{ ...key, x: key.x.slice(0, -2) }] }],
    ["a padded key", { keys: [{ ...key, x: `${key.x}=` }] }],
    ["too many keys", { keys: Array.from({ length: MAX_KEYS + 1 }, () => key) }],
  ])("is refused as a whole with %s", async (_, set) => {
    expect(await codeOf(() => parseKeySet(set))).toBe("InvalidKeySet");
  });
});

describe("a signing key", () => {
  it("goes by its thumbprint", async () => {
    expect(key.kid).toBe(await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x: key.x }));
    expect(signing.publicJwk).toStrictEqual(key);
  });

  it("shows no secret", () => {
    expect(JSON.stringify(signing)).not.toContain(jwk.d);
    expect(Object.values(signing)).toEqual(["connect-token", key]);
  });

  it.each<[string, object, string]>([
    ["no secret", { d: undefined }, "jwk"],
    ["a short secret", { d: jwk.d.slice(0, 20) }, "jwk"],
    ["the secret of another", { d: other.d }, "jwk"],
    ["the id of another", { kid: other.kid }, "jwk.kid"],
    ["no purpose", { [PURPOSE_MEMBER]: undefined }, "purpose"],
    ["an unknown purpose", { [PURPOSE_MEMBER]: "constructor" }, "purpose"],
  ])("is refused with %s, and quoted nowhere", async (_, changes, field) => {
    const error = await failure(() => SigningKey.import({ ...jwk, ...changes }));
    expect([error.code, error.field]).toEqual(["InvalidArgument", field]);
    expect(error.message).not.toContain(jwk.d);
  });
});
