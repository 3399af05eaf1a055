// Names, tags, sleep and events of sandboxes: what callers wish, what workers report, what is told of both.
import { randomUUID } from "node:crypto";
import type { Metadata } from "@grpc/grpc-js";
import type { DesiredInstance, InstanceEvent, SandboxEvent } from "@sallyport/contracts";
import { EndReason, InstanceState, SandboxState, DesiredInstance_Wish as Wish } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { OnWish } from "../test/fake-worker.ts";
import { EXITED, FakeWorker, obedient, report, TERMINATED } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, listRequest, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";

type Auth = { readonly metadata: Metadata };
let api: TestApi;
let worker: FakeWorker;
let auth: Auth;
let onWish: OnWish = obedient;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, (self, desired) => onWish(self, desired)).ready();
});
beforeEach(async () => {
  onWish = obedient;
  ({ auth } = await makeWorkspace(api, `w-${randomUUID()}`));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const create = async (change = {}, as = auth) => {
  const request = createRequest({ waitMs: 5_000, ...change });
  const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, as);
  if (sandbox === undefined) throw new Error("no sandbox");
  return sandbox;
};
const terminate = (sandboxId: string) =>
  callUnary(api.sandboxes, api.sandboxes.terminateSandbox, { sandboxId, waitMs: 5_000 }, auth);
const byName = (name: string, appName?: string) =>
  callUnary(api.sandboxes, api.sandboxes.getSandboxByName, { name, appName }, auth);
const setTags = (sandboxId: string, tags: Record<string, string>) =>
  callUnary(api.sandboxes, api.sandboxes.setSandboxTags, { sandboxId, tags }, auth);
const sleep = (sandboxId: string, waitMs = 5_000) =>
  callUnary(api.sandboxes, api.sandboxes.sleepSandbox, { sandboxId, waitMs }, auth);
const wake = (sandboxId: string, waitMs = 5_000) =>
  callUnary(api.sandboxes, api.sandboxes.wakeSandbox, { sandboxId, waitMs }, auth);
const list = (change = {}) =>
  callUnary(api.sandboxes, api.sandboxes.listSandboxes, listRequest(change), auth).then((page) =>
    page.sandboxes.map((sandbox) => sandbox.id),
  );
async function events(sandboxId: string, change = {}): Promise<SandboxEvent[]> {
  const request = { sandboxId, afterSeq: 0, follow: false, ...change };
  const read: SandboxEvent[] = [];
  for await (const { event } of callServerStream(api.sandboxes, api.sandboxes.watchSandboxEvents, request, auth)) {
    if (event !== undefined) read.push(event);
  }
  return read;
}
const types = async (sandboxId: string) => (await events(sandboxId)).map((event) => event.type);
function desiredOf(sandboxId: string): DesiredInstance {
  const desired = [...worker.desired.values()].find((one) => one.sandboxId === sandboxId);
  if (desired === undefined) throw new Error("never wished");
  return desired;
}

describe("what a create says", () => {
  it("is shown, and told to the worker", async () => {
    const said = {
      name: "web-1",
      tags: { team: "core", "a/b.c_d-e": "" },
      idleTimeoutMs: 60_000,
      sleepAfterMs: 5_000,
      diskMib: 64,
    };
    const sandbox = await create(said);
    expect(sandbox).toMatchObject({ ...said, asleep: false });
    expect(desiredOf(sandbox.id).spec).toMatchObject({
      diskMib: 64,
      idleTimeoutMs: 60_000,
      sleepAfterMs: 5_000,
      uid: 0,
      gid: 0,
      workdir: "/",
    });
  });

  it("has defaults", async () => {
    const sandbox = await create();
    expect(sandbox).toMatchObject({ tags: {}, diskMib: 1_024 });
    expect(sandbox.name ?? sandbox.idleTimeoutMs ?? sandbox.sleepAfterMs).toBeUndefined();
    expect(desiredOf(sandbox.id).spec).toMatchObject({ diskMib: 1_024, idleTimeoutMs: 0, sleepAfterMs: 0 });
  });

  const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`k${index}`, "v"]));
  it.each([
    ["name", { name: "" }],
    ["name", { name: "Web" }],
    ["name", { name: "x".repeat(64) }],
    ["tags", { tags: many }],
    ["tags.", { tags: { "": "v" } }],
    ["tags.a\\u0020b", { tags: { "a b": "v" } }],
    ["tags.a", { tags: { a: "x".repeat(256) } }],
    ["tags.a", { tags: { a: "\0" } }],
    ["idle_timeout_ms", { idleTimeoutMs: 999 }],
    ["idle_timeout_ms", { idleTimeoutMs: 86_400_001 }],
    ["idle_timeout_ms", { idleTimeoutMs: -1 }],
    ["sleep_after_ms", { sleepAfterMs: 0 }],
    ["sleep_after_ms", { sleepAfterMs: 86_400_001 }],
    ["disk_mib", { diskMib: 15 }],
    ["disk_mib", { diskMib: 65_537 }],
  ])("is judged: %s of %o", async (field, change) => {
    expect(await refusal(create(change))).toMatchObject({ code: "InvalidArgument", field });
  });

  it("is part of what an idempotency key stands for", async () => {
    const idempotencyKey = randomUUID();
    const first = await create({ idempotencyKey, tags: { a: "1" } });
    expect((await create({ idempotencyKey, tags: { a: "1" } })).id).toBe(first.id);
    for (const change of [{}, { tags: { a: "2" } }, { tags: { a: "1" }, name: "x" }, { diskMib: 64 }]) {
      expect(await refusal(create({ idempotencyKey, ...change }))).toMatchObject({
        code: "AlreadyExists",
        field: "idempotency_key",
      });
    }
  });
});

describe("a name", () => {
  it("is one living sandbox's of the app, and free again after its end", async () => {
    await callUnary(api.apps, api.apps.lookupApp, { name: "web", createIfMissing: true }, auth);
    const idempotencyKey = randomUUID();
    const first = await create({ name: "db", idempotencyKey });
    const taken = { code: "AlreadyExists", field: "name" };
    expect(await refusal(create({ name: "db" }))).toMatchObject(taken);
    expect((await create({ name: "db", idempotencyKey })).id).toBe(first.id);
    const other = await create({ name: "db", appName: "web" });
    expect((await byName("db")).sandbox?.id).toBe(first.id);
    expect((await byName("db", "web")).sandbox?.id).toBe(other.id);
    const { auth: stranger } = await makeWorkspace(api, `w-${randomUUID()}`);
    await create({ name: "db" }, stranger);
    await terminate(first.id);
    expect(await refusal(byName("db"))).toMatchObject({ code: "NotFound", field: "name" });
    const next = await create({ name: "db" });
    expect((await byName("db")).sandbox?.id).toBe(next.id);
    expect(await list({ name: "db", includeEnded: true })).toEqual([next.id, other.id, first.id]);
  });

  it("goes to exactly one of many who ask at once", async () => {
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => create({ name: "only", waitMs: 0 })));
    const made = results.filter((result) => result.status === "fulfilled");
    expect(made).toHaveLength(1);
    expect(await list({ name: "only" })).toEqual(made.map((result) => result.value.id));
  });

  it.each([
    ["name", { name: "" }],
    ["app_name", { name: "x", appName: "No" }],
  ])("is judged when it is looked for: %s", async (field, { name, appName }: { name: string; appName?: string }) => {
    expect(await refusal(byName(name, appName))).toMatchObject({ code: "InvalidArgument", field });
  });
});

describe("tags", () => {
  it("are replaced as a whole, and found by all of those asked for", async () => {
    const one = await create({ tags: { team: "core", env: "prod" } });
    const two = await create({ tags: { team: "core" } });
    expect(await list({ tags: { team: "core" } })).toEqual([two.id, one.id]);
    expect(await list({ tags: { team: "core", env: "prod" } })).toEqual([one.id]);
    expect(await list({ tags: { team: "cor" } })).toEqual([]);
    expect((await setTags(one.id, { env: "test" })).sandbox?.tags).toEqual({ env: "test" });
    expect(await list({ tags: { team: "core" } })).toEqual([two.id]);
    expect(await refusal(setTags(one.id, { "no good": "" }))).toMatchObject({ field: "tags.no\\u0020good" });
    await terminate(one.id);
    expect(await refusal(setTags(one.id, {}))).toMatchObject({ code: "SandboxEnded", field: "sandbox_id" });
    expect(await list({ tags: { env: "test" }, includeEnded: true })).toEqual([one.id]);
  });

  it("bind a page to its filter", async () => {
    for (let index = 0; index < 3; index += 1) await create({ tags: { a: "1", b: "2" }, waitMs: 0 });
    const page = (change = {}) =>
      callUnary(api.sandboxes, api.sandboxes.listSandboxes, listRequest({ pageSize: 2, ...change }), auth);
    const tags = { a: "1", b: "2" };
    const pageToken = (await page({ tags })).nextPageToken;
    expect((await page({ tags: { b: "2", a: "1" }, pageToken })).sandboxes).toHaveLength(1);
    for (const change of [{}, { tags: { a: "1" } }, { tags, name: "x" }, { tags, includeEnded: true }]) {
      const refused = await refusal(page({ ...change, pageToken }));
      expect(refused).toMatchObject({ code: "InvalidArgument", field: "page_token" });
    }
    expect(await refusal(page({ name: "No" }))).toMatchObject({ code: "InvalidArgument", field: "name" });
    expect(await refusal(page({ tags: { "": "" } }))).toMatchObject({ code: "InvalidArgument", field: "tags." });
  });
});

describe("sleep", () => {
  it("is wished, followed once, shown, and undone", async () => {
    const { id } = await create();
    expect((await sleep(id)).sandbox).toMatchObject({ asleep: true, state: SandboxState.RUNNING });
    expect(desiredOf(id)).toMatchObject({ wish: Wish.RUN, sleepGeneration: 1, asleep: true });
    expect((await sleep(id)).sandbox).toMatchObject({ asleep: true });
    expect((await wake(id)).sandbox).toMatchObject({ asleep: false });
    expect(desiredOf(id)).toMatchObject({ asleep: false });
  });

  it("answers with the sandbox as it is when the worker takes its time, and repeats no wish meanwhile", async () => {
    const { id } = await create();
    onWish = async () => {};
    expect((await sleep(id, 30)).sandbox).toMatchObject({ asleep: false });
    expect((await sleep(id, 0)).sandbox).toMatchObject({ asleep: false });
    const wished = await eventually("the wish", () => {
      const desired = desiredOf(id);
      return desired.sleepGeneration > 0 ? desired : undefined;
    });
    expect(wished.sleepGeneration).toBe(1);
    const waking = wake(id);
    const second = await eventually("the second wish", () => {
      const desired = desiredOf(id);
      return desired.sleepGeneration === 2 ? desired : undefined;
    });
    await worker.report(second, InstanceState.RUNNING);
    expect((await waking).sandbox).toMatchObject({ asleep: false });
  });

  it("is for what runs", async () => {
    onWish = async () => {};
    const pending = await create({ waitMs: 0 });
    expect(await refusal(sleep(pending.id))).toMatchObject({ code: "FailedPrecondition", field: "sandbox_id" });
    onWish = obedient;
    const { id } = await create();
    expect(await refusal(wake(id, 60_001))).toMatchObject({ code: "InvalidArgument", field: "wait_ms" });
    await sleep(id);
    expect((await terminate(id)).sandbox).toMatchObject({ state: SandboxState.ENDED, asleep: false });
    expect(await refusal(wake(id))).toMatchObject({ code: "SandboxEnded", field: "sandbox_id" });
    expect(await refusal(sleep("sb-01jd0000000000000000000000"))).toMatchObject({ code: "NotFound" });
  });

  it("does not keep a caller when the sandbox ends meanwhile", async () => {
    const { id } = await create();
    onWish = async () => {};
    const waiting = sleep(id, 30_000);
    const wished = await eventually("the wish", () => (desiredOf(id).sleepGeneration > 0 ? desiredOf(id) : undefined));
    await worker.send([{ ...report(wished, InstanceState.ENDED, 50), outcome: EXITED }]);
    expect((await waiting).sandbox).toMatchObject({ state: SandboxState.ENDED });
  });
});

describe("events", () => {
  it("tell a life in order, to the end", async () => {
    const { id } = await create({ name: "told" });
    const following = events(id, { follow: true });
    await setTags(id, { a: "1" });
    await sleep(id);
    await terminate(id);
    const told = await following;
    expect(told.map((event) => event.type)).toEqual([
      "created",
      "placed",
      "started",
      "tags_changed",
      "stop_requested",
      "ended",
    ]);
    expect(told.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(told[0]?.detail).toEqual({ image: "default", name: "told" });
    expect(told[1]?.detail).toMatchObject({ workerId: worker.id });
    expect(told[5]?.detail).toEqual({ reason: "terminated", exitCode: 137 });
    expect(await events(id)).toEqual(told);
    expect(await events(id, { afterSeq: 4, follow: true })).toEqual(told.slice(4));
    expect(await events(id, { afterSeq: 99, follow: true })).toEqual([]);
    expect(await refusal(events(id, { afterSeq: -1 }))).toMatchObject({ code: "InvalidArgument", field: "after_seq" });
  });

  it("of a worker are told once, in its order, however often and mixed they come", async () => {
    const { id } = await create();
    const desired = desiredOf(id);
    const event = (seq: number, type: string, detail?: Record<string, unknown>): InstanceEvent => ({
      seq,
      type,
      detail,
      at: new Date("2026-01-01T00:00:00Z"),
    });
    const running = (seq: number, ...told: InstanceEvent[]) =>
      worker.send([{ ...report(desired, InstanceState.RUNNING, seq), events: told }]);
    await running(2, event(2, "awake"), event(1, "asleep", { by: "idle" }));
    await running(2, event(1, "asleep"), event(2, "awake")); // the acknowledgement was lost
    await running(3, event(2, "awake"), event(3, "disk_full"), event(3, "disk_full"));
    await running(1, event(4, "oom_kill")); // an old report still carries news
    await worker.send([
      {
        ...report(desired, InstanceState.ENDED, 4),
        outcome: EXITED,
        events: [event(5, "pids_limit"), event(6, "ended"), event(7, "created"), event(8, "gossip")],
      },
    ]);
    await running(9, event(9, "asleep")); // nothing follows an end
    expect((await types(id)).slice(3)).toEqual(["asleep", "awake", "disk_full", "oom_kill", "pids_limit", "ended"]);
    expect((await events(id))[3]).toMatchObject({ at: new Date("2026-01-01T00:00:00Z"), detail: { by: "idle" } });
  });

  it("keep details small and fit for the database", async () => {
    const { id } = await create();
    const deep = { a: { b: { c: { d: { e: 1 } } } } };
    const detail = {
      "k\0": `x\0\ud800${"y".repeat(5_000)}`,
      deep,
      wide: Array.from({ length: 100 }, () => "z"),
      number: Number.NaN,
      ...Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`m${index}`, index])),
    };
    const told = { seq: 1, type: "disk_full", detail, at: new Date(8e15) };
    await worker.report(desiredOf(id), InstanceState.RUNNING, undefined, [told]);
    const [read] = (await events(id)).slice(-1);
    expect(read?.type).toBe("disk_full");
    expect(JSON.stringify(read?.detail).length).toBeLessThan(2_000);
    expect(read?.detail?.["deep"]).toEqual({ a: { b: null } });
    expect(Math.abs((read?.at?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it("are bounded: the newest thousand are kept, and numbers tell of the rest", async () => {
    const { id } = await create();
    const flood = Array.from({ length: 1_500 }, (_, index) => ({
      seq: index + 1,
      type: index % 2 === 0 ? "asleep" : "awake",
      at: new Date(),
      detail: undefined,
    }));
    await worker.report(desiredOf(id), InstanceState.RUNNING, undefined, flood);
    await setTags(id, {});
    const kept = await events(id);
    expect(kept).toHaveLength(1_000);
    expect(kept.at(-1)?.type).toBe("tags_changed");
    expect(kept[0]?.seq).toBe((kept.at(-1)?.seq ?? 0) - 999);
  });

  it("follow what is written by whom, at the same time, without loss or repetition", async () => {
    const { id } = await create();
    const following = events(id, { follow: true });
    await Promise.all(Array.from({ length: 20 }, (_, index) => setTags(id, { n: String(index) })));
    await worker.report(desiredOf(id), InstanceState.ENDED, TERMINATED);
    const told = await following;
    expect(told.map((event) => event.seq)).toEqual(Array.from({ length: 24 }, (_, index) => index + 1));
    expect(told.at(-1)).toMatchObject({ type: "ended" });
  });

  it("tell of a start that failed, and why", async () => {
    onWish = (self, desired) =>
      self.report(desired, InstanceState.ENDED, {
        reason: EndReason.INIT_FAILURE,
        exitCode: 1,
        signal: undefined,
        message: "no luck",
        startErrorField: undefined,
      }) as unknown as Promise<void>;
    const { id } = await create({ waitMs: 0 });
    const told = await events(id, { follow: true });
    expect(told.map((event) => event.type)).toEqual(["created", "placed", "ended"]);
    expect(told[2]?.detail).toEqual({ reason: "init-failure", exitCode: 1, message: "no luck" });
  });
});
