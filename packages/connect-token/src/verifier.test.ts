// What is issued is granted, where, for as long and as often as it should be, and not a moment more.

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { request } from "../test/arbitraries.ts";
import { codeOf } from "../test/failure.ts";
import { ISSUER, OTHER_SANDBOX, Platform, REQUEST, SANDBOX, START_MS, TOKEN_ID, WORKSPACE } from "../test/platform.ts";
import { generateSigningKey, issueConnectToken, SigningKey } from "./issue.ts";
import { DEFAULT_LIFE_MS, DEFAULT_PORT, MAX_LIFE_MS, MAX_TOKEN_CHARACTERS, MIN_LIFE_MS } from "./limits.ts";
import { ConnectTokenVerifier, TOKEN_PREFIX } from "./verify.ts";

const target = { sandboxId: SANDBOX };
const second = await SigningKey.import(await generateSigningKey("connect-token"));

let platform: Platform;
let verifier: ConnectTokenVerifier;
beforeEach(async () => {
  platform = await Platform.start();
  verifier = platform.verifier();
});

describe("a token", () => {
  it("grants what it was issued for, with the defaults of the law", async () => {
    const token = await platform.issue();
    expect(await verifier.verify(token, target)).toStrictEqual({
      id: TOKEN_ID,
      sandboxId: SANDBOX,
      workspaceId: WORKSPACE,
      port: DEFAULT_PORT,
      userData: undefined,
      epoch: 3,
      embed: false,
      issuedAtMs: START_MS,
      expiresAtMs: START_MS + DEFAULT_LIFE_MS,
      keyId: platform.key.publicJwk.kid,
    });
    expect(token.startsWith(TOKEN_PREFIX)).toBe(true);
    expect([DEFAULT_PORT, DEFAULT_LIFE_MS]).toEqual([8_080, 3_600_000]);
  });

  it("grants whatever was issued, and reads back to the same", async () => {
    await fc.assert(
      fc.asyncProperty(request, fc.integer({ min: 0, max: 4e12 }), async (asked, nowMs) => {
        platform.nowMs = nowMs;
        platform.epoch = 0;
        const issued = await issueConnectToken(asked, { issuer: ISSUER, key: platform.key, now: platform.now });
        const grant = await verifier.verify(issued.token, { sandboxId: asked.sandboxId, port: asked.port });
        const { epoch, id, sandboxId, workspaceId } = asked;
        expect(grant).toMatchObject({ epoch, id, sandboxId, workspaceId, embed: asked.embed ?? false });
        expect(grant.port).toBe(asked.port ?? DEFAULT_PORT);
        expect(grant.userData === undefined ? undefined : JSON.parse(grant.userData)).toEqual(asked.userMetadata);
        expect(grant.expiresAtMs).toBe(issued.expiresAtMs);
        expect(grant.expiresAtMs).toBeLessThanOrEqual(nowMs + (asked.expiresInMs ?? DEFAULT_LIFE_MS));
        expect(verifier.peek(issued.token, { sandboxId })).toBe(grant);
      }),
      { numRuns: 300 },
    );
  });

  it("fits the bound, whatever was asked for", async () => {
    const id = "x".repeat(64);
    const userMetadata = '"'.repeat(254);
    const asked = { id, sandboxId: id, workspaceId: id, epoch: Number.MAX_SAFE_INTEGER, embed: true, userMetadata };
    const issuer = `sallyport:${"x".repeat(118)}`;
    const { token } = await issueConnectToken(asked, { issuer, key: platform.key, now: () => 9e14 });
    expect(token.length).toBeLessThanOrEqual(MAX_TOKEN_CHARACTERS);
    const options = { issuer, keys: () => platform.keys, now: () => 9e14 };
    const other = new ConnectTokenVerifier({ ...options, isCurrentEpoch: () => true, isRevoked: () => false });
    expect((await other.verify(token, { sandboxId: id })).userData?.length).toBe(510);
  });

  it("is for one sandbox, and for one port where the address names one", async () => {
    const token = await platform.issue({ port: 3_000 });
    expect(await codeOf(() => verifier.verify(token, { sandboxId: OTHER_SANDBOX }))).toBe("WrongSandbox");
    expect(await codeOf(() => verifier.verify(token, { ...target, port: 8_080 }))).toBe("WrongPort");
    expect((await verifier.verify(token, { ...target, port: 3_000 })).port).toBe(3_000);
    expect(verifier.peek(token, { sandboxId: OTHER_SANDBOX })).toBeUndefined();
    expect(verifier.peek(token, { ...target, port: 8_080 })).toBeUndefined();
  });

  it("ends at its last millisecond, remembered or not", async () => {
    const token = await platform.issue({ expiresInMs: 5_000 });
    platform.nowMs += 4_999;
    const grant = await verifier.verify(token, target);
    expect(verifier.problemOf(grant)).toBeUndefined();
    platform.nowMs += 1;
    expect(verifier.problemOf(grant)).toBe("Expired");
    expect(verifier.peek(token, target)).toBeUndefined();
    expect(await codeOf(() => verifier.verify(token, target))).toBe("Expired");
    expect(await codeOf(() => platform.verifier().verify(token, target))).toBe("Expired");
    expect(verifier.size).toBe(0);
  });

  it("may come from a clock that is a little ahead", async () => {
    const token = await platform.issue();
    platform.nowMs -= 30_000;
    expect((await verifier.verify(token, target)).id).toBe(TOKEN_ID);
    platform.nowMs -= 1;
    expect(await codeOf(() => verifier.verify(token, target))).toBe("NotYetValid");
  });

  it("is revoked alone, or with all of its sandbox, at once", async () => {
    const tokens = await Promise.all(["ct-1", "ct-2"].map((id) => platform.issue({ id })));
    const [one = "", two = ""] = tokens;
    const elsewhere = await platform.issue({ sandboxId: OTHER_SANDBOX });
    for (const token of tokens) await verifier.verify(token, target);
    const grant = await verifier.verify(elsewhere, { sandboxId: OTHER_SANDBOX });
    platform.revoked.add("ct-1");
    expect(verifier.peek(one, target)).toBeUndefined();
    expect(await codeOf(() => verifier.verify(one, target))).toBe("Revoked");
    expect(verifier.peek(two, target)?.id).toBe("ct-2");
    platform.epoch = 4;
    expect(verifier.peek(two, target)).toBeUndefined();
    expect(await codeOf(() => verifier.verify(two, target))).toBe("Revoked");
    expect(verifier.peek(elsewhere, { sandboxId: OTHER_SANDBOX })).toBe(grant);
    expect((await verifier.verify(await platform.issue({ epoch: 4 }), target)).epoch).toBe(4);
  });
});

describe("rotation", () => {
  it("overlaps, and ends what a key signed when the key leaves", async () => {
    const before = await platform.issue();
    await verifier.verify(before, target);
    await platform.publish(platform.key, second);
    const after = await platform.issue({}, second);
    expect(verifier.peek(before, target)?.keyId).toBe(platform.key.publicJwk.kid);
    expect((await verifier.verify(after, target)).keyId).toBe(second.publicJwk.kid);
    await platform.publish(second);
    expect(verifier.peek(before, target)).toBeUndefined();
    expect(await codeOf(() => verifier.verify(before, target))).toBe("UnknownKey");
    expect(verifier.peek(after, target)?.keyId).toBe(second.publicJwk.kid);
  });

  it("counts a key that left while its signature was being checked", async () => {
    const token = await platform.issue();
    const verdict = codeOf(() => verifier.verify(token, target));
    await platform.publish(second);
    expect(await verdict).toBe("UnknownKey");
  });
});

describe("the cache", () => {
  it("knows tokens by their exact characters", async () => {
    const token = await platform.issue();
    const grant = await verifier.verify(token, target);
    expect(verifier.peek(token, target)).toBe(grant);
    for (const other of [`${token} `, `${token}=`, token.slice(0, -1), ` ${token}`, ""]) {
      expect(verifier.peek(other, target)).toBeUndefined();
    }
    expect(Object.isFrozen(grant)).toBe(true);
  });

  it("remembers no bad token", async () => {
    const token = await platform.issue();
    await codeOf(() => verifier.verify(`${token.slice(0, -86)}${"A".repeat(86)}`, target));
    await codeOf(() => verifier.verify(`${token}=`, target));
    expect(verifier.size).toBe(0);
  });

  it("checks one signature for many requests at once", async () => {
    const token = await platform.issue();
    const grants = await Promise.all(Array.from({ length: 50 }, () => verifier.verify(token, target)));
    expect(new Set(grants).size).toBe(1);
  });

  it("stays within its bound, and keeps what is used", async () => {
    const small = platform.verifier(4);
    const busy = await platform.issue({ id: "busy" });
    await small.verify(busy, target);
    for (let index = 0; index < 20; index += 1) {
      await small.verify(await platform.issue({ id: `idle-${index}` }), target);
      expect(small.peek(busy, target)?.id).toBe("busy");
      expect(small.size).toBeLessThanOrEqual(4);
    }
    expect(small.peek(await platform.issue({ id: "idle-0" }), target)).toBeUndefined();
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses a bound of %s", async (max) => {
    expect(await codeOf(() => platform.verifier(max))).toBe("InvalidArgument");
  });
});

describe("what cannot be issued", () => {
  it.each<[string, object]>([
    ["id", { id: "" }],
    ["id", { id: "a".repeat(65) }],
    ["sandboxId", { sandboxId: "sb 1" }],
    ["workspaceId", { workspaceId: "ws-é" }],
    ["port", { port: 0 }],
    ["port", { port: 65_536 }],
    ["port", { port: "8080" }],
    ["epoch", { epoch: -1 }],
    ["epoch", { epoch: 2 ** 53 }],
    ["expiresInMs", { expiresInMs: MIN_LIFE_MS - 1 }],
    ["expiresInMs", { expiresInMs: MAX_LIFE_MS + 1 }],
    ["expiresInMs", { expiresInMs: Number.NaN }],
    ["embed", { embed: 1 }],
    ["userMetadata", { userMetadata: "a".repeat(510) }],
  ])("is refused by its field: %s in %j", async (field, changes) => {
    const asked = { ...REQUEST, ...changes };
    await expect(
      issueConnectToken(asked, { issuer: ISSUER, key: platform.key, now: platform.now }),
    ).rejects.toMatchObject({
      code: "InvalidArgument",
      field,
    });
  });

  it.each(["", "a b", 'a"b', "a\\b", "é", "a".repeat(129)])("is what an issuer named %j signs", async (issuer) => {
    const { key, now } = platform;
    expect(await codeOf(() => issueConnectToken(REQUEST, { issuer, key, now }))).toBe("InvalidArgument");
  });

  it("is what a key of assertions signs", async () => {
    expect(await codeOf(() => platform.issue({}, platform.assertionKey))).toBe("InvalidArgument");
  });
});
