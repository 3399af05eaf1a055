// What a proxy asserts is proven by apps, with this package or with any other that knows JWT and JWKS.

import { createLocalJWKSet, jwtVerify } from "jose";
import { beforeEach, describe, expect, it } from "vitest";
import { codeOf } from "../test/failure.ts";
import { ISSUER, OTHER_SANDBOX, Platform, SANDBOX, START_MS, TOKEN_ID, WORKSPACE } from "../test/platform.ts";
import { AssertionSigner } from "./assertion.ts";
import { ASSERTION_LIFE_MS, MAX_TOKEN_CHARACTERS } from "./limits.ts";
import { type ConnectGrant, verifyAssertion } from "./verify.ts";

let platform: Platform;
let signer: AssertionSigner;
let grant: ConnectGrant;
beforeEach(async () => {
  platform = await Platform.start();
  signer = new AssertionSigner({ issuer: ISSUER, key: platform.assertionKey, now: platform.now });
  grant = await grantFor({ userMetadata: { user: "é" } });
});

const grantFor = async (request: Parameters<Platform["issue"]>[0]) =>
  platform.verifier().verify(await platform.issue(request), { sandboxId: SANDBOX });
const options = () => ({ keys: platform.keys, issuer: ISSUER, sandboxId: SANDBOX, now: platform.now });

describe("an assertion", () => {
  it("says who came, to this sandbox, for a minute", async () => {
    const text = await signer.sign(grant);
    expect(await verifyAssertion(text, options())).toStrictEqual({
      sandboxId: SANDBOX,
      workspaceId: WORKSPACE,
      port: 8_080,
      tokenId: TOKEN_ID,
      userMetadata: { user: "é" },
      issuedAtMs: START_MS,
      expiresAtMs: START_MS + ASSERTION_LIFE_MS,
    });
    expect(ASSERTION_LIFE_MS).toBe(60_000);
  });

  it("is proven by a library that knows nothing of us", async () => {
    const text = await signer.sign(grant);
    const jwks = createLocalJWKSet({ keys: [platform.key.publicJwk, platform.assertionKey.publicJwk] as object as [] });
    const { payload } = await jwtVerify(text, jwks, {
      algorithms: ["EdDSA"],
      typ: "sallyport-assertion+jwt",
      issuer: ISSUER,
      audience: SANDBOX,
      currentDate: new Date(START_MS),
    });
    expect(payload).toMatchObject({ sub: TOKEN_ID, port: 8_080, ud: grant.userData });
  });

  it("carries what the token carries, and nothing where that is nothing", async () => {
    const text = await signer.sign(await grantFor({ port: 3_000 }));
    expect(await verifyAssertion(text, options())).toMatchObject({ port: 3_000, userMetadata: undefined });
    const nothing = await signer.sign(await grantFor({ userMetadata: null }));
    expect((await verifyAssertion(nothing, options())).userMetadata).toBeNull();
    const long = await signer.sign(await grantFor({ userMetadata: '"'.repeat(254) }));
    expect(long.length).toBeLessThanOrEqual(MAX_TOKEN_CHARACTERS);
  });

  it("serves the requests of a token for half a minute, then there is another", async () => {
    expect(signer.peek(grant)).toBeUndefined();
    const text = await signer.sign(grant);
    platform.nowMs += ASSERTION_LIFE_MS / 2 - 1;
    expect(signer.peek(grant)).toBe(text);
    expect(await signer.sign(grant)).toBe(text);
    platform.nowMs += 1;
    expect(signer.peek(grant)).toBeUndefined();
    const next = await signer.sign(grant);
    expect(next).not.toBe(text);
    expect((await verifyAssertion(next, options())).issuedAtMs).toBe(START_MS + ASSERTION_LIFE_MS / 2);
  });

  it("does not outlive its token", async () => {
    const short = await grantFor({ expiresInMs: 10_000 });
    expect((await verifyAssertion(await signer.sign(short), options())).expiresAtMs).toBe(START_MS + 10_000);
    platform.nowMs += 9_999;
    expect(signer.peek(short)).toBeDefined();
    platform.nowMs += 1;
    expect(signer.peek(short)).toBeUndefined();
    expect(await codeOf(() => signer.sign(short))).toBe("InvalidArgument");
  });

  it.each<[string, object, number, string]>([
    ["another sandbox", { sandboxId: OTHER_SANDBOX }, 0, "WrongSandbox"],
    ["another port", { port: 8_081 }, 0, "WrongPort"],
    ["another platform", { issuer: "sallyport:pf-2" }, 0, "WrongIssuer"],
    ["a minute later", {}, ASSERTION_LIFE_MS, "Expired"],
    ["long before", {}, -30_001, "NotYetValid"],
  ])("is refused at %s", async (_, changes, later, code) => {
    const text = await signer.sign(grant);
    platform.nowMs += later;
    expect(await codeOf(() => verifyAssertion(text, { ...options(), ...changes }))).toBe(code);
  });

  it("is no connect token, and a connect token is no assertion", async () => {
    const text = await signer.sign(grant);
    const token = await platform.issue();
    expect(await codeOf(() => platform.verifier().verify(text, { sandboxId: SANDBOX }))).toBe("Malformed");
    expect(await codeOf(() => verifyAssertion(token, options()))).toBe("Malformed");
  });

  it("needs a key of its own kind", async () => {
    const { key, now } = platform;
    expect(await codeOf(() => new AssertionSigner({ issuer: ISSUER, key, now }))).toBe("InvalidArgument");
    expect(await codeOf(() => new AssertionSigner({ issuer: "", key: platform.assertionKey, now }))).toBe(
      "InvalidArgument",
    );
  });

  it("is refused when its key has left", async () => {
    const text = await signer.sign(grant);
    await platform.publish(platform.key);
    expect(await codeOf(() => verifyAssertion(text, options()))).toBe("UnknownKey");
  });
});
