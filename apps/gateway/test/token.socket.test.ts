// Who may call SandboxIO: tokens as the api makes them, and every way to bend one. Keys outlive the api and a restart.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TokenClaims } from "./fake-api.ts";
import { makeKey, PLATFORM_ID, signToken, WORKSPACE_ID } from "./fake-api.ts";
import { eventually, Harness, IoClient, idOf, refusal } from "./harness.ts";

const CLAIMS = { sandboxId: idOf("sb", 1), instanceId: idOf("in", 1) };
let harness: Harness;

beforeAll(async () => {
  harness = await Harness.start();
});

afterAll(async () => {
  await harness[Symbol.asyncDispose]();
});

/** NotFound: the token was believed, and there is no such instance here. */
async function answerTo(token: string): Promise<string> {
  const io = new IoClient(harness.ioPort, token);
  try {
    return await refusal(io.wait("x", 0));
  } finally {
    io.close();
  }
}

describe("a token", () => {
  it("of the api is believed", async () => {
    expect(await answerTo(await signToken(harness.key, CLAIMS))).toBe("NotFound");
  });

  it.each<[string, Partial<TokenClaims>]>([
    ["for another audience", { audience: "sallyport-connect" }],
    ["of another platform", { issuer: "sallyport:01jother" }],
    ["that has ended", { expiresInS: -10 }],
    ["with an unknown key", { keyId: "k9" }],
    ["for no sandbox", { sandboxId: "sb-1" }],
    ["for no instance", { instanceId: "in-../../etc" }],
  ])("%s is refused", async (_what, bent) => {
    expect(await answerTo(await signToken(harness.key, { ...CLAIMS, ...bent }))).toBe("Unauthenticated");
  });

  it("signed by another key of the same name is refused", async () => {
    expect(await answerTo(await signToken(await makeKey("k1"), CLAIMS))).toBe("Unauthenticated");
  });

  it("in another spelling of the same bytes is refused", async () => {
    const token = await signToken(harness.key, CLAIMS);
    expect(await answerTo(token)).toBe("NotFound");
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 64 bytes end within a character of which four bits are unused.
    const last = alphabet.indexOf(token.at(-1) ?? "");
    const twin = token.slice(0, -1) + alphabet[last ^ 1];
    const signatures = [token, twin].map((text) => Buffer.from(text.split(".")[2] ?? "", "base64url"));
    expect(signatures[0]).toEqual(signatures[1]);
    expect(await answerTo(twin)).toBe("Unauthenticated");
    expect(await answerTo(`${token}=`)).toBe("Unauthenticated");
    expect(await answerTo(`${token}.`)).toBe("Unauthenticated");
  });

  it("without a signature is refused", async () => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const payload = { iss: `sallyport:${PLATFORM_ID}`, aud: "sallyport-io", ws: WORKSPACE_ID, exp: 2 ** 40 };
    const body = encode({ ...payload, sub: CLAIMS.sandboxId, inst: CLAIMS.instanceId });
    expect(await answerTo(`${encode({ alg: "none", kid: "k1" })}.${body}.AA`)).toBe("Unauthenticated");
    expect(await answerTo(`${encode({ alg: "HS256", kid: "k1" })}.${body}.AA`)).toBe("Unauthenticated");
    expect(await answerTo("")).toBe("Unauthenticated");
  });
});

describe("the keys", () => {
  it("follow the api: a key that leaves takes its tokens along", async () => {
    const next = await makeKey("k2");
    const old = await signToken(harness.key, CLAIMS);
    const fresh = await signToken(next, CLAIMS);
    expect(await answerTo(old)).toBe("NotFound");
    harness.api.setKeys([next]);
    await eventually("the new key", async () => (await answerTo(fresh)) === "NotFound");
    expect(await answerTo(old)).toBe("Unauthenticated");
    harness.api.setKeys([harness.key]);
    await eventually("the old key", async () => (await answerTo(old)) === "NotFound");
  });

  it("of another platform are not taken", async () => {
    harness.api.setKeys([await makeKey("k1")], "01jother");
    const token = await signToken(harness.key, CLAIMS);
    expect(await answerTo(token)).toBe("NotFound");
    harness.api.setKeys([harness.key]);
  });

  it("are there while the api is not, and after a restart without it", async () => {
    await harness.api[Symbol.asyncDispose]();
    const token = await signToken(harness.key, CLAIMS);
    expect(await answerTo(token)).toBe("NotFound");
    await harness.stopGateway();
    await harness.startGateway();
    expect(await answerTo(token)).toBe("NotFound");
  });
});
