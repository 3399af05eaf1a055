// What edges are told, and what they say: nothing missed, whoever commits and however many at once.
import { silentLogger } from "@sallyport/appkit/logger";
import { generateSigningKey } from "@sallyport/connect-token/assertion";
import { InstanceState, RouteState } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeEdge } from "../test/fake-edge.ts";
import { EXITED, FakeWorker, idle, obedient, report } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { attachTestApi, createRequest, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import { sweepConnect } from "./services/connect-janitor.ts";
import { openDatabase } from "./store/database.ts";
import { readChanges } from "./store/routes.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const never = new AbortController().signal;

let api: TestApi;
let worker: FakeWorker;
let owner: Awaited<ReturnType<typeof makeWorkspace>>;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  owner = await makeWorkspace(api, "owner");
  const none = { sandboxes: 0, cpuMillis: 0, memoryMib: 0, diskMib: 0, createsPerMinute: 0 };
  await callUnary(api.admin, api.admin.setWorkspaceQuota, { workspace: "owner", ...none });
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

async function create(waitMs = 10_000): Promise<string> {
  const request = createRequest({ waitMs });
  const made = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, owner.auth);
  return made.sandbox?.id ?? "";
}

function end(sandboxId: string) {
  const request = { sandboxId, waitMs: 10_000 };
  return callUnary(api.sandboxes, api.sandboxes.terminateSandbox, request, owner.auth);
}

const state = (edge: FakeEdge, sandboxId: string, wanted: RouteState) =>
  eventually(`state ${wanted}`, () => (edge.routes.get(sandboxId)?.state === wanted ? true : undefined));

describe("an edge", () => {
  it("is told everything at once, then what changes, then the revision each second", async () => {
    const before = await create();
    await using edge = await new FakeEdge(api, { id: "watcher" }).ready();
    expect(edge.messages[0]).toMatchObject({ reset: true });
    expect(JSON.parse(edge.keySet ?? "")).toMatchObject({ keys: [{ "sallyport:purpose": "connect-token" }] });
    expect(edge.keySet).not.toContain('"d"');
    const route = edge.routes.get(before);
    expect(route).toMatchObject({ workspaceId: owner.id, state: RouteState.RUNNING, tokenEpoch: 0, gateway: "" });
    expect(route?.instanceId).toMatch(/^in-/);
    const later = await create();
    await state(edge, later, RouteState.RUNNING);
    await end(later);
    await state(edge, later, RouteState.ENDED);
    await eventually("when it ended", () => edge.routes.get(later)?.endedAt); // told first when it was to stop
    const count = edge.messages.length;
    const beat = await eventually("two heartbeats", () =>
      edge.messages.length > count + 1 ? edge.messages.at(-1) : undefined,
    );
    expect(beat).toMatchObject({ complete: true, reset: false, routes: [], revoked: [], keySet: undefined });
    expect(beat.revision).toBe(edge.revision);
    const { edges } = await callUnary(api.admin, api.admin.listEdges, {});
    expect(edges.find(({ id }) => id === "watcher")).toMatchObject({ stale: false });
    expect(edge.ackError).toBeUndefined();
  });

  it("hears of an end that was reported hours late", async () => {
    const sandboxId = await create();
    await using edge = await new FakeEdge(api, { id: "late" }).ready();
    await state(edge, sandboxId, RouteState.RUNNING);
    const desired = [...worker.desired.values()].find((one) => one.sandboxId === sandboxId);
    if (desired === undefined) throw new Error("the worker knows nothing of it");
    const at = new Date(Date.now() - 2 * HOUR_MS);
    await worker.send([{ ...report(desired, InstanceState.ENDED, 99), outcome: EXITED, at }]);
    await state(edge, sandboxId, RouteState.ENDED);
    await using fresh = await new FakeEdge(api, { id: "fresh" }).ready();
    expect(fresh.routes.has(sandboxId)).toBe(false);
  });

  it("goes on where it was, also at another api", async () => {
    const [kept, changed] = [await create(), await create()];
    const first = await new FakeEdge(api, { id: "roaming" }).ready();
    await state(first, changed, RouteState.RUNNING);
    await state(first, kept, RouteState.RUNNING);
    await first[Symbol.asyncDispose]();
    await end(changed);
    await using other = await attachTestApi(api.database);
    await using second = await new FakeEdge(other, {
      id: "roaming",
      since: first.revision,
      routes: first.routes,
    }).ready();
    expect(second.messages[0]).toMatchObject({ reset: false });
    expect(second.messages.flatMap(({ routes }) => routes.map(({ sandboxId }) => sandboxId))).not.toContain(kept);
    await state(second, changed, RouteState.ENDED);
    const there = await create(); // committed by one api, told by the other
    await state(second, there, RouteState.RUNNING);
  });

  it.each([
    ["of another platform's past", 5],
    ["that was never told", Number.MAX_SAFE_INTEGER],
  ])("with a revision %s is told everything", async (_, since) => {
    await using edge = await new FakeEdge(api, { id: "lost", since }).ready();
    expect(edge.messages[0]).toMatchObject({ reset: true });
    expect(edge.keySet).toBeDefined();
  });

  it("that has all is told so at once", async () => {
    const first = await new FakeEdge(api, { id: "same" }).ready();
    await first[Symbol.asyncDispose]();
    await using second = await new FakeEdge(api, { id: "same", since: first.revision }).ready();
    expect(second.messages[0]).toMatchObject({ reset: false, complete: true, keySet: undefined });
  });

  it("is told of a start before it runs, and of an end once that is asked for", async () => {
    await using slow = await startTestApi();
    await using lazy = await new FakeWorker(slow, idle).ready();
    const tenant = await makeWorkspace(slow, "tenant");
    await using edge = await new FakeEdge(slow, { id: "early" }).ready();
    const made = await callUnary(slow.sandboxes, slow.sandboxes.createSandbox, createRequest(), tenant.auth);
    const sandboxId = made.sandbox?.id ?? "";
    await state(edge, sandboxId, RouteState.STARTING);
    await callUnary(slow.sandboxes, slow.sandboxes.terminateSandbox, { sandboxId, waitMs: 0 }, tenant.auth);
    await state(edge, sandboxId, RouteState.ENDED);
    expect(edge.routes.get(sandboxId)?.endedAt).toBeUndefined();
    expect(lazy.ended).toBeUndefined();
  });

  it("gets a large truth in parts of bounded size", async () => {
    await using many = await startTestApi();
    await using other = await new FakeWorker(many, obedient).ready();
    const tenant = await makeWorkspace(many, "tenant");
    const made = await callUnary(
      many.sandboxes,
      many.sandboxes.createSandbox,
      createRequest({ waitMs: 10_000 }),
      tenant.auth,
    );
    const id = made.sandbox?.id;
    const copyId = "overlay(id PLACING lpad(number::text, 5, '0') FROM 25)";
    await many.sql(
      `INSERT INTO sandboxes (id, workspace_id, app_id, generation, image, network, cpu_millis, memory_mib, lifetime_ms)
       SELECT ${copyId}, workspace_id, app_id, 1, image, network, cpu_millis, memory_mib, lifetime_ms
       FROM sandboxes, generate_series(1, 2500) AS number WHERE id = $1`,
      [id],
    );
    await many.sql(
      `INSERT INTO instances (id, sandbox_id, workspace_id, generation, worker_id, cpu_millis, memory_mib, wish, spec, observed,
         seq, network_generation)
       SELECT overlay(id PLACING lpad(number::text, 5, '0') FROM 25), overlay(sandbox_id PLACING lpad(number::text, 5, '0') FROM 25),
         workspace_id, 1, worker_id, 0, 0, wish, spec, observed, 1, 1
       FROM instances, generate_series(1, 2500) AS number WHERE sandbox_id = $1`,
      [id],
    );
    await using edge = await new FakeEdge(many, { id: "big" }).ready();
    expect(edge.routes.size).toBe(2_501);
    const parts = edge.messages.filter(({ routes }) => routes.length > 0);
    expect(parts.map(({ reset, complete }) => [reset, complete])).toEqual([
      [true, false],
      [false, false],
      [false, true],
    ]);
    expect(Math.max(...parts.map(({ routes }) => routes.length))).toBeLessThanOrEqual(1_000);
    expect(other.ended).toBeUndefined();
  });
});

describe("the sequence", () => {
  it("misses no commit of many at once", { timeout: 120_000 }, async () => {
    const ids = await Promise.all(Array.from({ length: 24 }, () => create()));
    await using database = openDatabase({ kind: "socket", ...api.database }, silentLogger);
    const { db } = database;
    const epochs = new Map(ids.map((id) => [id, 0]));
    const seen = new Map<string, number>();
    let isOver = false;
    let cursor = (await readChanges(db, 0, 1)).head;
    // Small pages on purpose: many of them begin in the midst of commits.
    const reader = (async () => {
      for (let rest = false; !isOver || rest; ) {
        const wasOver = isOver;
        const page = await readChanges(db, cursor, 3);
        for (const { sandboxId, tokenEpoch } of page.routes) seen.set(sandboxId, tokenEpoch);
        cursor = page.last;
        rest = !page.isWhole || !wasOver;
      }
    })();
    const writers = Array.from({ length: 8 }, async (_, number) => {
      for (let round = 0; round < 60; round += 1) {
        const id = ids[(number * 7 + round * 5) % ids.length] ?? "";
        epochs.set(id, (epochs.get(id) ?? 0) + 1);
        // Transactions of several statements whose order of locks differs.
        await db.transaction().execute(async (tx) => {
          await tx
            .updateTable("sandboxes")
            .set((eb) => ({ token_epoch: eb("token_epoch", "+", 1) }))
            .where("id", "=", id)
            .execute();
          if (round % 3 === 0) await tx.selectFrom("sandboxes").select("id").where("id", "=", id).execute();
        });
      }
    });
    await Promise.all(writers);
    isOver = true;
    await reader;
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries([...epochs].filter(([, epoch]) => epoch > 0)));
  });

  it("numbers what the release before writes, and leaves alone what no edge needs to know", async () => {
    const sandboxId = await create();
    const head = async () => (await api.sql("SELECT revision FROM route_sequence"))[0]?.["revision"];
    const before = await head();
    await api.sql("UPDATE instances SET asleep = true, seq = seq + 1 WHERE sandbox_id = $1", [sandboxId]);
    await api.sql("UPDATE sandboxes SET tags = '{}' WHERE id = $1", [sandboxId]);
    expect(await head()).toEqual(before);
    await api.sql("UPDATE instances SET observed = 'stopping' WHERE sandbox_id = $1", [sandboxId]);
    expect(Number(await head())).toBe(Number(before) + 1);
  });

  it("tells everything anew to whoever has read so slowly that the rest was forgotten", async () => {
    const sandboxId = await create();
    await using edge = await new FakeEdge(api, { id: "slow" }).ready();
    await state(edge, sandboxId, RouteState.RUNNING);
    const count = edge.messages.length;
    await api.sql("UPDATE route_sequence SET revision = revision + 5, floor = revision + 5");
    await eventually("a reset", () => edge.messages.slice(count).find(({ reset }) => reset));
    await state(edge, sandboxId, RouteState.RUNNING);
    expect(edge.messages.slice(count).some(({ keySet }) => keySet !== undefined)).toBe(true);
  });

  it("forgets what is past its time, and resets whoever was away for longer", async () => {
    const sandboxId = await create();
    const edge = await new FakeEdge(api, { id: "away" }).ready();
    await state(edge, sandboxId, RouteState.RUNNING);
    await edge[Symbol.asyncDispose]();
    const minted = { sandboxId, userMetadata: undefined, port: undefined, expiresInMs: undefined, embed: false };
    const { tokenId } = await callUnary(api.sandboxes, api.sandboxes.createConnectToken, minted, owner.auth);
    await api.sql("UPDATE connect_tokens SET revoked_at = now() WHERE id = $1", [tokenId]);
    await end(sandboxId);
    await using database = openDatabase({ kind: "socket", ...api.database }, silentLogger);
    const now = Date.now();
    expect(await sweepConnect(database.db, now, never)).toMatchObject({
      tokens: 0,
      revocations: 0,
      edges: 0,
      connectKeys: 0,
    });
    const swept = await sweepConnect(database.db, now + 2 * HOUR_MS, never);
    expect(swept).toMatchObject({ edges: 0, connectKeys: 0 });
    expect(swept.tokens).toBeGreaterThan(0);
    expect(swept.revocations).toBeGreaterThan(0);
    expect(swept.routes).toBeGreaterThan(0);
    await using back = await new FakeEdge(api, { id: "away", since: edge.revision, routes: edge.routes }).ready();
    expect(back.messages[0]).toMatchObject({ reset: true });
    expect(back.routes.has(sandboxId)).toBe(false);
    expect((await sweepConnect(database.db, now + 2 * DAY_MS, never)).edges).toBeGreaterThan(0);
  });
});

describe("the word of an edge", () => {
  const acknowledge = (edgeId: string, revision: number) =>
    callUnary(api.edges, api.edges.acknowledgeRoutes, { edgeId, revision });

  it("counts from one that watches, and for what was told", async () => {
    expect(await refusal(acknowledge("nobody", 1))).toMatchObject({ code: "FailedPrecondition", field: "edge_id" });
    await using edge = await new FakeEdge(api, { id: "boaster" }).ready();
    const future = await refusal(acknowledge("boaster", edge.revision + 1_000_000));
    expect(future).toMatchObject({ code: "FailedPrecondition" });
    for (const bad of ["", "a/b", "a b", "ü", "x".repeat(65), "../x", "a\0b"]) {
      expect(await refusal(acknowledge(bad, 1)), bad).toMatchObject({ code: "InvalidArgument", field: "edge_id" });
    }
    expect(await refusal(acknowledge("boaster", -1))).toMatchObject({ code: "InvalidArgument", field: "revision" });
  });

  it("is that of so many at most", async () => {
    await using full = await startTestApi();
    await full.sql("INSERT INTO edges SELECT 'forged-' || number, 0, now() FROM generate_series(1, 50) AS number");
    const edge = new FakeEdge(full, { id: "one-more" });
    await expect(edge.ready()).rejects.toMatchObject({ cause: { details: "there are 50 edges already" } });
    await edge[Symbol.asyncDispose]();
    await using known = await new FakeEdge(full, { id: "forged-1" }).ready();
    expect(known.messages[0]).toMatchObject({ reset: true });
  });
});

describe("an edge that is replaced", () => {
  it("leaves for good: nobody waits for it, and its keys are its successor's", async () => {
    await using before = await new FakeEdge(api, { id: "before" }).ready();
    await using after = await new FakeEdge(api, { id: "after" }).ready();
    const { kty, crv, x, kid, alg, use, "sallyport:purpose": purpose } = await generateSigningKey("assertion");
    const jwk = JSON.stringify({ kty, crv, x, kid, alg, use, "sallyport:purpose": purpose });
    await callUnary(api.edges, api.edges.publishAssertionKey, { edgeId: "before", jwk });
    const leave = (edgeId: string, successorId: string) =>
      callUnary(api.edges, api.edges.leaveEdge, { edgeId, successorId });
    expect(await refusal(leave("before", "nobody"))).toMatchObject({ code: "FailedPrecondition" });
    expect(await refusal(leave("before", "before"))).toMatchObject({ code: "InvalidArgument" });
    expect(await refusal(leave("a/b", "after"))).toMatchObject({ code: "InvalidArgument" });
    await before[Symbol.asyncDispose]();
    await leave("before", "after");
    await leave("before", "after");
    const { edges } = await callUnary(api.admin, api.admin.listEdges, {});
    const ids = edges.map(({ id }) => id);
    expect([ids.includes("before"), ids.includes("after")]).toEqual([false, true]);
    await callUnary(api.edges, api.edges.publishAssertionKey, { edgeId: "after", jwk });
    expect(after.ended).toBeUndefined();
  });
});
