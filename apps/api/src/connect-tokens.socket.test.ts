// Connect tokens over gRPC, on a real database: issued, listed, revoked; what they hold; whose they are.
import { randomUUID } from "node:crypto";
import { ConnectTokenVerifier, parseKeySet } from "@sallyport/connect-token/verify";
import type { CreateConnectTokenRequest } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeEdge } from "../test/fake-edge.ts";
import { FakeWorker, idle, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, PLATFORM_ID, refusal, startTestApi } from "../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let mine: Awaited<ReturnType<typeof makeWorkspace>>;
let theirs: Awaited<ReturnType<typeof makeWorkspace>>;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  mine = await makeWorkspace(api, "mine");
  theirs = await makeWorkspace(api, "theirs");
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

type Owner = typeof mine;

async function sandboxOf(owner: Owner, on: TestApi = api): Promise<string> {
  const request = createRequest({ waitMs: 10_000 });
  const made = await callUnary(on.sandboxes, on.sandboxes.createSandbox, request, owner.auth);
  return made.sandbox?.id ?? "";
}

function mint(owner: Owner, sandboxId: string, change: Partial<CreateConnectTokenRequest> = {}, on: TestApi = api) {
  const unset = { userMetadata: undefined, port: undefined, expiresInMs: undefined, embed: false };
  const request = { sandboxId, ...unset, ...change };
  return callUnary(on.sandboxes, on.sandboxes.createConnectToken, request, owner.auth);
}

function list(owner: Owner, sandboxId: string) {
  return callUnary(api.sandboxes, api.sandboxes.listConnectTokens, { sandboxId }, owner.auth);
}

function revoke(owner: Owner, sandboxId: string, tokenId: string) {
  return callUnary(api.sandboxes, api.sandboxes.revokeConnectToken, { sandboxId, tokenId }, owner.auth);
}

function revokeAll(owner: Owner, sandboxId: string) {
  return callUnary(api.sandboxes, api.sandboxes.revokeConnectTokens, { sandboxId }, owner.auth);
}

/** A verifier as a proxy has it, from what an edge was told. */
async function verifierOf(edge: FakeEdge) {
  const keys = await parseKeySet(edge.keySet);
  return new ConnectTokenVerifier({
    issuer: `sallyport:${PLATFORM_ID}`,
    keys: () => keys,
    now: () => Date.now(),
    isCurrentEpoch: (sandboxId, epoch) => epoch >= (edge.routes.get(sandboxId)?.tokenEpoch ?? Number.MAX_SAFE_INTEGER),
    isRevoked: (tokenId) => edge.revoked.has(tokenId),
  });
}

describe("a connect token", () => {
  it("is verified by what an edge is told, and says what was asked for", async () => {
    await using edge = await new FakeEdge(api, { id: "verifier" }).ready();
    const sandboxId = await sandboxOf(mine);
    const userMetadata = { name: "Zoë", roles: ["admin", null, 1.5, true] };
    const made = await mint(mine, sandboxId, { userMetadata, port: 3_000, expiresInMs: 60_000, embed: true });
    expect(made.url).toBe(`https://${sandboxId}.localhost:7443`);
    expect(made.caPem).toMatch(/^-----BEGIN CERTIFICATE-----\n[\s\S]+-----END CERTIFICATE-----\n$/);
    const verifier = await verifierOf(edge);
    await eventually("its route", () => edge.routes.get(sandboxId));
    const grant = await verifier.verify(made.token, { sandboxId });
    expect(grant).toMatchObject({
      id: made.tokenId,
      sandboxId,
      workspaceId: mine.id,
      port: 3_000,
      epoch: 0,
      embed: true,
      userData: '{"name":"Zo\\u00eb","roles":["admin",null,1.5,true]}',
    });
    expect(new Date(grant.expiresAtMs)).toEqual(made.expiresAt);
    const plain = await verifier.verify((await mint(mine, sandboxId)).token, { sandboxId });
    expect(plain).toMatchObject({ port: 8_080, userData: undefined, embed: false });
    expect(plain.expiresAtMs - plain.issuedAtMs).toBe(3_600_000);
    const none = await verifier.verify((await mint(mine, sandboxId, { userMetadata: null })).token, { sandboxId });
    expect(none.userData).toBe("null");
  });

  it("is made while its sandbox starts, and not once that is to end", async () => {
    await using slow = await startTestApi();
    await using lazy = await new FakeWorker(slow, idle).ready();
    const owner = await makeWorkspace(slow, "slow");
    const made = await callUnary(slow.sandboxes, slow.sandboxes.createSandbox, createRequest(), owner.auth);
    const sandboxId = made.sandbox?.id ?? "";
    expect((await mint(owner, sandboxId, {}, slow)).token).toBeTruthy();
    const end = { sandboxId, waitMs: 0 };
    await callUnary(slow.sandboxes, slow.sandboxes.terminateSandbox, end, owner.auth);
    expect(await refusal(mint(owner, sandboxId, {}, slow))).toMatchObject({
      code: "SandboxEnded",
      field: "sandbox_id",
    });
    expect(lazy.ended).toBeUndefined();
  });

  it.each([
    ["port", { port: 0 }],
    ["port", { port: 65_536 }],
    ["port", { port: 10_099 }],
    ["expires_in_ms", { expiresInMs: 999 }],
    ["expires_in_ms", { expiresInMs: 86_400_001 }],
    ["user_metadata", { userMetadata: "x".repeat(510) }],
    ["user_metadata", { userMetadata: "é".repeat(90) }],
    ["user_metadata", { userMetadata: deep(300) }],
    ["user_metadata.a", { userMetadata: { a: Number.NaN } }],
    ["sandbox_id", { sandboxId: "sb-x" }],
  ] as const)("of a bad %s is refused", async (field, change) => {
    const sandboxId = await sandboxOf(mine);
    expect(await refusal(mint(mine, sandboxId, change))).toMatchObject({ code: "InvalidArgument", field });
  });

  it("has user data of 511 characters at most, and says so", async () => {
    const sandboxId = await sandboxOf(mine);
    expect((await mint(mine, sandboxId, { userMetadata: "x".repeat(509) })).token).toBeTruthy();
    const { message } = await refusal(mint(mine, sandboxId, { userMetadata: "x".repeat(510) }));
    expect(message).toBe("user_metadata: 512 characters as ASCII JSON; fewer than 512 are allowed");
  });

  it("is kept nowhere", async () => {
    const sandboxId = await sandboxOf(mine);
    const secret = randomUUID();
    const { token } = await mint(mine, sandboxId, { userMetadata: { secret } });
    const kept = JSON.stringify([
      await api.sql("SELECT connect_tokens::text AS row FROM connect_tokens"),
      await api.sql("SELECT sandbox_events::text AS row FROM sandbox_events"),
      await list(mine, sandboxId),
    ]);
    for (const part of [secret, token, token.split(".")[2]]) expect(kept).not.toContain(part);
  });

  it("warns where the sandbox ends before it", async () => {
    const sandboxId = await sandboxOf(mine);
    expect((await mint(mine, sandboxId)).warnings).toEqual([]);
    const { warnings } = await mint(mine, sandboxId, { expiresInMs: 86_400_000 });
    expect(warnings).toEqual([expect.stringMatching(/^the sandbox ends by \d{4}-/)]);
  });

  it("is one of so many", async () => {
    const sandboxId = await sandboxOf(mine);
    const fill = `INSERT INTO connect_tokens (id, sandbox_id, workspace_id, epoch, port, embed, created_at, expires_at)
      SELECT 'ct-01jd00000000000000000' || lpad(number::text, 5, '0'), $1, $2, 0, 8080, true, now(), now() + interval '1 hour'
      FROM generate_series(1, $3) AS number`;
    await api.sql(fill, [sandboxId, mine.id, 9_999]);
    await mint(mine, sandboxId);
    expect(await refusal(mint(mine, sandboxId))).toMatchObject({ code: "ResourceExhausted" });
    expect((await list(mine, sandboxId)).tokens).toHaveLength(10_000); // and that is a message that can be sent
    await api.sql("UPDATE connect_tokens SET expires_at = now() - interval '1 second' WHERE sandbox_id = $1", [
      sandboxId,
    ]);
    await mint(mine, sandboxId);
    expect((await list(mine, sandboxId)).tokens).toHaveLength(1);
  });
});

describe("revoking", () => {
  // Those of other tests are gone, and would be named for a day.
  beforeEach(() => api.sql("DELETE FROM edges"));

  it("one token leaves the others, is told to edges before it answers, and may be done again", async () => {
    await using edge = await new FakeEdge(api, { id: "one" }).ready();
    const sandboxId = await sandboxOf(mine);
    const [first, second] = [await mint(mine, sandboxId), await mint(mine, sandboxId)];
    expect(await revoke(mine, sandboxId, first.tokenId)).toEqual({ staleEdges: [] });
    expect([...edge.revoked]).toContain(first.tokenId);
    const verifier = await verifierOf(edge);
    await expect(verifier.verify(first.token, { sandboxId })).rejects.toMatchObject({ code: "Revoked" });
    await verifier.verify(second.token, { sandboxId });
    expect(await revoke(mine, sandboxId, first.tokenId)).toEqual({ staleEdges: [] });
    const { tokens } = await list(mine, sandboxId);
    expect(tokens.map(({ tokenId }) => tokenId)).toEqual([second.tokenId, first.tokenId]);
    expect(tokens.map(({ revokedAt }) => revokedAt !== undefined)).toEqual([false, true]);
    const unknown = "ct-01jd0000000000000000000000";
    expect(await refusal(revoke(mine, sandboxId, unknown))).toMatchObject({ code: "NotFound", field: "token_id" });
    const bad = await refusal(revoke(mine, sandboxId, "ct-x"));
    expect(bad).toMatchObject({ code: "InvalidArgument", field: "token_id" });
  });

  it("all leaves those that are made afterwards", async () => {
    await using edge = await new FakeEdge(api, { id: "all" }).ready();
    const sandboxId = await sandboxOf(mine);
    const [first, second] = [await mint(mine, sandboxId), await mint(mine, sandboxId)];
    expect(await revokeAll(mine, sandboxId)).toEqual({ staleEdges: [] });
    expect(edge.routes.get(sandboxId)?.tokenEpoch).toBe(1);
    const third = await mint(mine, sandboxId);
    const verifier = await verifierOf(edge);
    for (const { token } of [first, second]) {
      await expect(verifier.verify(token, { sandboxId })).rejects.toMatchObject({ code: "Revoked" });
    }
    await verifier.verify(third.token, { sandboxId });
    const { tokens } = await list(mine, sandboxId);
    expect(tokens.map(({ revokedAt }) => revokedAt !== undefined)).toEqual([false, true, true]);
  });

  it("one by one has a bound for a workspace, and all of a sandbox has none", { timeout: 60_000 }, async () => {
    const crowd = await makeWorkspace(api, "crowd");
    const [busy, other] = [await sandboxOf(crowd), await sandboxOf(crowd)];
    await api.sql(
      `INSERT INTO connect_tokens (id, sandbox_id, workspace_id, epoch, port, embed, created_at, expires_at)
       SELECT 'ct-01je0000000000000000' || lpad(number::text, 6, '0'), $1, $2, 0, 8080, true, now(), now() + interval '1 hour'
       FROM generate_series(1, 9999) AS number`,
      [busy, crowd.id],
    );
    await api.sql("UPDATE connect_tokens SET revoked_at = now() WHERE sandbox_id = $1", [busy]);
    const tokens = [await mint(crowd, other), await mint(crowd, other)] as const;
    await revoke(crowd, other, tokens[0].tokenId);
    const refused = await refusal(revoke(crowd, other, tokens[1].tokenId));
    expect(refused).toMatchObject({ code: "ResourceExhausted", field: "token_id" });
    await revoke(crowd, other, tokens[0].tokenId); // it is
    const alien = await sandboxOf(mine);
    await revoke(mine, alien, (await mint(mine, alien)).tokenId); // others have their own room
    await revokeAll(crowd, busy);
    await revoke(crowd, other, tokens[1].tokenId);
    await using edge = await new FakeEdge(api, { id: "fresh" }).ready();
    expect([...edge.revoked].filter((id) => id.startsWith("ct-01je"))).toEqual([]);
    expect([...edge.revoked]).toEqual(expect.arrayContaining(tokens.map(({ tokenId }) => tokenId)));
    await callUnary(api.sandboxes, api.sandboxes.terminateSandbox, { sandboxId: other, waitMs: 10_000 }, crowd.auth);
    await using later = await new FakeEdge(api, { id: "later" }).ready();
    for (const { tokenId } of tokens) expect(later.revoked.has(tokenId)).toBe(false);
  });

  it("names an edge that says nothing, and waits for it no longer than it was fresh", { timeout: 30_000 }, async () => {
    await using edge = await new FakeEdge(api, { id: "mute" }).ready();
    const sandboxId = await sandboxOf(mine);
    const { tokenId } = await mint(mine, sandboxId);
    edge.acknowledges = false;
    expect(await revoke(mine, sandboxId, tokenId)).toEqual({ staleEdges: ["mute"] });
    const { edges } = await callUnary(api.admin, api.admin.listEdges, {});
    const mute = edges.find(({ id }) => id === "mute");
    expect(mute?.revision).toBeLessThan(mute?.newestRevision ?? 0);
    edge.acknowledges = true;
    await eventually("its word", async () => {
      const { staleEdges } = await revoke(mine, sandboxId, tokenId);
      return staleEdges.length === 0 ? true : undefined;
    });
  });

  it("stops waiting when its caller does", async () => {
    await using edge = await new FakeEdge(api, { id: "slow" }).ready();
    const sandboxId = await sandboxOf(mine);
    const { tokenId } = await mint(mine, sandboxId);
    edge.acknowledges = false;
    const signal = AbortSignal.timeout(200);
    const options = { ...mine.auth, signal };
    const call = callUnary(api.sandboxes, api.sandboxes.revokeConnectToken, { sandboxId, tokenId }, options);
    await expect(call).rejects.toThrow();
    edge.acknowledges = true;
    await eventually("the revocation", () => (edge.revoked.has(tokenId) ? true : undefined));
  });
});

describe("the events of a sandbox", () => {
  const eventsOf = async (sandboxId: string) => {
    const request = { sandboxId, afterSeq: 0, follow: false };
    const events: { type: string; detail: unknown }[] = [];
    for await (const { event } of callServerStream(
      api.sandboxes,
      api.sandboxes.watchSandboxEvents,
      request,
      mine.auth,
    )) {
      if (event?.type.startsWith("connect_") === true || event?.type === "ended") {
        events.push({ type: event.type, detail: event.detail });
      }
    }
    return events;
  };

  it("tell of its tokens without them, and of nothing after its end", async () => {
    const sandboxId = await sandboxOf(mine);
    const { tokenId, expiresAt } = await mint(mine, sandboxId, { userMetadata: "secret" });
    await revoke(mine, sandboxId, tokenId);
    await revoke(mine, sandboxId, tokenId);
    await revokeAll(mine, sandboxId);
    const told = [
      { type: "connect_token_created", detail: { tokenId, port: 8_080, expiresAt: expiresAt?.toISOString() } },
      { type: "connect_token_revoked", detail: { tokenId } },
      { type: "connect_tokens_revoked", detail: { epoch: 1 } },
    ];
    expect(await eventsOf(sandboxId)).toEqual(told);
    const { tokenId: last } = await mint(mine, sandboxId);
    const end = { sandboxId, waitMs: 10_000 };
    await callUnary(api.sandboxes, api.sandboxes.terminateSandbox, end, mine.auth);
    await revoke(mine, sandboxId, last);
    await revokeAll(mine, sandboxId);
    expect((await eventsOf(sandboxId)).map(({ type }) => type).slice(-2)).toEqual(["connect_token_created", "ended"]);
  });

  it("keep room for the rest however many tokens there are", async () => {
    const sandboxId = await sandboxOf(mine);
    for (let round = 0; round < 11; round += 1) {
      await Promise.all(Array.from({ length: 10 }, () => mint(mine, sandboxId)));
    }
    const [row] = await api.sql(
      `SELECT count(*) FILTER (WHERE type = 'connect_token_created') AS made, bool_or(type = 'created') AS created
       FROM sandbox_events WHERE sandbox_id = $1`,
      [sandboxId],
    );
    expect(row).toEqual({ made: "100", created: true });
  });
});

describe("two workspaces", () => {
  it("have nothing to do with each other's tokens", async () => {
    const sandboxId = await sandboxOf(theirs);
    const own = await sandboxOf(mine);
    const { tokenId } = await mint(theirs, sandboxId);
    const never = "sb-01jd0000000000000000000000";
    for (const call of [
      (id: string) => mint(mine, id),
      (id: string) => list(mine, id),
      (id: string) => revoke(mine, id, tokenId),
      (id: string) => revokeAll(mine, id),
    ]) {
      const refused = await refusal(call(sandboxId));
      expect(refused).toMatchObject({ code: "NotFound", field: "sandbox_id" });
      expect({ ...refused, message: refused.message.replace(sandboxId, never) }).toEqual(await refusal(call(never)));
    }
    expect(await refusal(revoke(mine, own, tokenId))).toMatchObject({ code: "NotFound", field: "token_id" });
    expect((await list(mine, own)).tokens).toEqual([]);
    const [token] = (await list(theirs, sandboxId)).tokens;
    expect(token).toMatchObject({ tokenId, revokedAt: undefined });
  });
});

function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}
