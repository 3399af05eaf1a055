// Listing, waiting, ending, access to processes, and what the operator sees and makes.
import type { Metadata } from "@grpc/grpc-js";
import { EndReason, InstanceState, SandboxState } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import type { JWK } from "jose";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OnWish } from "../test/fake-worker.ts";
import { FakeWorker, idle, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, PLATFORM_ID, refusal, startTestApi } from "../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let onWish: OnWish = obedient;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, (self, desired) => onWish(self, desired)).ready();
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

type Auth = { readonly metadata: Metadata };
const create = async (auth: Auth, change = {}) => {
  const request = createRequest({ waitMs: 5_000, ...change });
  return (await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth)).sandbox?.id ?? "";
};
const list = (auth: Auth, change = {}) => {
  const request = { pageSize: 0, pageToken: "", includeEnded: false, tags: {}, ...change };
  return callUnary(api.sandboxes, api.sandboxes.listSandboxes, request, auth);
};
const terminate = (auth: Auth, sandboxId: string, waitMs = 5_000) =>
  callUnary(api.sandboxes, api.sandboxes.terminateSandbox, { sandboxId, waitMs }, auth);
const wait = (auth: Auth, sandboxId: string, waitMs: number) =>
  callUnary(api.sandboxes, api.sandboxes.waitSandbox, { sandboxId, waitMs }, auth);

describe("a listing", () => {
  it("pages through all, newest first, whatever happens meanwhile", async () => {
    const { auth } = await makeWorkspace(api, "pages");
    const made: string[] = [];
    for (let index = 0; index < 7; index += 1) made.unshift(await create(auth));
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await list(auth, { pageSize: 3, pageToken });
      seen.push(...page.sandboxes.map((sandbox) => sandbox.id));
      pageToken = page.nextPageToken;
      await create(auth);
    } while (pageToken !== "");
    expect(seen).toEqual(made);
  });

  it("shows living ones unless asked for all, and one app's if asked", async () => {
    const { auth } = await makeWorkspace(api, "filters");
    await callUnary(api.apps, api.apps.lookupApp, { name: "web", createIfMissing: true }, auth);
    const [first, second] = [await create(auth), await create(auth, { appName: "web" })];
    await terminate(auth, first);
    const ids = async (change = {}) => (await list(auth, change)).sandboxes.map((sandbox) => sandbox.id);
    expect(await ids()).toEqual([second]);
    expect(await ids({ includeEnded: true })).toEqual([second, first]);
    expect(await ids({ appName: "web", includeEnded: true })).toEqual([second]);
    expect(await ids({ appName: "default" })).toEqual([]);
  });

  it("makes shorter pages of long commands, and loses none", async () => {
    const { auth } = await makeWorkspace(api, "long");
    const argv = ["a", "x".repeat(120 * 1024)];
    const made: string[] = [];
    for (let index = 0; index < 9; index += 1) made.unshift(await create(auth, { command: { argv } }));
    const first = await list(auth);
    expect(first.sandboxes.length).toBeLessThan(9);
    const second = await list(auth, { pageToken: first.nextPageToken });
    expect([...first.sandboxes, ...second.sandboxes].map((sandbox) => sandbox.id)).toEqual(made);
    expect(second.nextPageToken).toBe("");
  });

  it("takes no token that it did not give", async () => {
    const [one, two] = [await makeWorkspace(api, "tokens-one"), await makeWorkspace(api, "tokens-two")];
    for (const { auth } of [one, one, two, two]) await create(auth);
    const token = (await list(one.auth, { pageSize: 1 })).nextPageToken;
    expect(token).not.toBe("");
    const touched = `${token.slice(0, 5)}${token[5] === "x" ? "y" : "x"}${token.slice(6)}`;
    const refused = { code: "InvalidArgument", field: "page_token" };
    expect(await refusal(list(one.auth, { pageToken: touched }))).toMatchObject(refused);
    expect(await refusal(list(one.auth, { pageToken: "sb-01jd0000000000000000000000" }))).toMatchObject(refused);
    expect(await refusal(list(one.auth, { pageToken: token, includeEnded: true }))).toMatchObject(refused);
    expect(await refusal(list(two.auth, { pageToken: token }))).toMatchObject(refused);
    expect((await list(one.auth, { pageToken: token, pageSize: 1 })).sandboxes).toHaveLength(1);
    expect(await refusal(list(one.auth, { pageSize: 1_001 }))).toMatchObject({ field: "page_size" });
  });
});

describe("an end", () => {
  it("is awaited, and final", async () => {
    const { auth } = await makeWorkspace(api, "ends");
    const sandboxId = await create(auth, { command: { argv: ["sleep"] } });
    expect((await wait(auth, sandboxId, 30)).sandbox).toMatchObject({
      state: SandboxState.RUNNING,
      outcome: undefined,
    });
    const waiting = wait(auth, sandboxId, 10_000);
    const ended = await terminate(auth, sandboxId);
    expect(ended.sandbox).toMatchObject({
      state: SandboxState.ENDED,
      outcome: { reason: EndReason.TERMINATED, exitCode: 137 },
    });
    expect((await waiting).sandbox).toEqual(ended.sandbox);
    expect((await terminate(auth, sandboxId)).sandbox).toEqual(ended.sandbox);
    expect(await refusal(wait(auth, sandboxId, 60_001))).toMatchObject({ field: "wait_ms" });
  });

  it("comes to a sandbox that its worker has not seen", async () => {
    const { auth } = await makeWorkspace(api, "unseen");
    onWish = idle;
    const sandboxId = await create(auth, { waitMs: 0 });
    const stopping = await terminate(auth, sandboxId, 0);
    expect(stopping.sandbox).toMatchObject({ state: SandboxState.STOPPING, outcome: undefined });
    const access = callUnary(api.sandboxes, api.sandboxes.getIoAccess, { sandboxId }, auth);
    expect(await refusal(access)).toMatchObject({ code: "FailedPrecondition", field: "sandbox_id" });
    onWish = obedient;
    const wish = await eventually("the wish to stop", () =>
      [...worker.desired.values()].find((desired) => desired.sandboxId === sandboxId && desired.wish === 2),
    );
    await worker.report(wish, InstanceState.ENDED, { reason: EndReason.TERMINATED, exitCode: 137 });
    expect((await wait(auth, sandboxId, 5_000)).sandbox?.state).toBe(SandboxState.ENDED);
  });

  it("is not waited for by a caller who went away", async () => {
    const { auth } = await makeWorkspace(api, "gone");
    const sandboxId = await create(auth);
    const caller = new AbortController();
    const request = { sandboxId, waitMs: 60_000 };
    const call = callUnary(api.sandboxes, api.sandboxes.waitSandbox, request, { ...auth, signal: caller.signal });
    caller.abort(new Error("went away"));
    await expect(call).rejects.toThrow("went away");
  });
});

describe("access to processes", () => {
  it("is a short-lived token for one sandbox, which the keys of WatchKeys verify", async () => {
    const { auth, id } = await makeWorkspace(api, "access");
    const sandboxId = await create(auth);
    const answer = await callUnary(api.sandboxes, api.sandboxes.getIoAccess, { sandboxId }, auth);
    const stream = callServerStream(api.gateways, api.gateways.watchKeys, {});
    const { value } = await stream.next();
    await stream.return();
    if (value === undefined) throw new Error("no keys");
    expect(value.platformId).toBe(PLATFORM_ID);
    const keys = createLocalJWKSet({ keys: value.keys.map((key) => JSON.parse(key.jwk) as JWK) });
    const verified = await jwtVerify(answer.ioAccess?.token ?? "", keys, {
      audience: "sallyport-io",
      issuer: `sallyport:${PLATFORM_ID}`,
      algorithms: ["EdDSA"],
    });
    expect(verified.protectedHeader.kid).toBe(value.keys[0]?.keyId);
    const instance = [...worker.desired.values()].find((desired) => desired.sandboxId === sandboxId);
    expect(verified.payload).toMatchObject({ ws: id, sub: sandboxId, inst: instance?.instanceId });
    expect((verified.payload.exp ?? 0) - (verified.payload.iat ?? 0)).toBe(600);
    expect(JSON.stringify(value)).not.toContain('"d"');
    await terminate(auth, sandboxId);
    const later = await callUnary(api.sandboxes, api.sandboxes.getIoAccess, { sandboxId }, auth);
    expect(later.ioAccess?.address).toBe("127.0.0.1:7351");
  });

  it("lies sealed in the database, under a key that others cannot read", async () => {
    const [row] = await api.sql("SELECT sealed_private_jwk, public_jwk FROM signing_keys");
    expect(String(row?.["sealed_private_jwk"])).not.toContain("OKP");
    expect(row?.["public_jwk"]).not.toHaveProperty("d");
  });
});

describe("the operator", () => {
  it("makes workspaces and tokens, and is told what is wrong", async () => {
    const { admin } = api;
    const make = (name: string) => callUnary(admin, admin.createWorkspace, { name });
    await make("operators");
    expect(await refusal(make("operators"))).toMatchObject({ code: "AlreadyExists", field: "name" });
    expect(await refusal(make("No"))).toMatchObject({ code: "InvalidArgument", field: "name" });
    const names = (await callUnary(admin, admin.listWorkspaces, {})).workspaces.map((workspace) => workspace.name);
    expect(names).toEqual(expect.arrayContaining(["default", "operators"]));
    const token = (workspaceName: string, name: string) =>
      callUnary(admin, admin.createApiToken, { workspaceName, name });
    expect(await refusal(token("unheard-of", "x"))).toMatchObject({ code: "NotFound", field: "workspace_name" });
    expect(await refusal(token("default", "x".repeat(101)))).toMatchObject({ code: "InvalidArgument", field: "name" });
    const revoke = (apiTokenId: string) => callUnary(admin, admin.revokeApiToken, { apiTokenId });
    expect(await refusal(revoke("x"))).toMatchObject({ code: "InvalidArgument", field: "api_token_id" });
    expect(await refusal(revoke("at-01jd0000000000000000000000"))).toMatchObject({ code: "NotFound" });
    const status = await callUnary(admin, admin.getPlatformStatus, {});
    expect(status).toMatchObject({ platformId: PLATFORM_ID, workers: [{ connected: true }] });
    expect(status.livingSandboxes).toBeGreaterThan(0);
  });
});
