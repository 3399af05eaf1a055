// CreateSandbox: what is refused and leaves nothing, what is repeated and makes nothing, how a start may go.

import type { CreateSandboxRequest } from "@sallyport/contracts";
import { EndReason, InstanceState, SandboxState } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OnWish } from "../test/fake-worker.ts";
import { EXITED, FakeWorker, idle, obedient, outcome } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let onWish: OnWish = obedient;
let auth: Awaited<ReturnType<typeof makeWorkspace>>["auth"];
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, (self, desired) => onWish(self, desired)).ready();
  ({ auth } = await makeWorkspace(api, "tenant"));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

function create(change: Partial<CreateSandboxRequest>) {
  return callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest(change), auth);
}

async function counts() {
  const [row] = await api.sql(`SELECT (SELECT count(*)::int FROM sandboxes) AS sandboxes,
    (SELECT count(*)::int FROM instances) AS instances, (SELECT count(*)::int FROM idempotency_keys) AS keys,
    (SELECT count(*)::int FROM apps) AS apps`);
  return row;
}

const open = { mode: { $case: "open" as const, value: {} } };
const allow = (...cidrs: string[]) => ({ mode: { $case: "allow" as const, value: { cidrs, rules: [] } } });
const command = { argv: ["true"] };

describe("bad input", () => {
  it.each<[string, Partial<CreateSandboxRequest>]>([
    ["idempotency_key", { idempotencyKey: "" }],
    ["idempotency_key", { idempotencyKey: "k".repeat(129) }],
    ["idempotency_key", { idempotencyKey: "a\0b" }],
    ["app_name", { appName: "" }],
    ["app_name", { appName: "No" }],
    ["app_name", { appName: "a".repeat(64) }],
    ["image", { image: "" }],
    ["image", { image: "bad image" }],
    ["command", { command: { argv: [] } }],
    ["command[0]", { command: { argv: [""] } }],
    ["command[1]", { command: { argv: ["a", "b\0c"] } }],
    ["command", { command: { argv: Array.from({ length: 1_025 }, () => "a") } }],
    ["command", { command: { argv: ["a", "b".repeat(128 * 1024)] } }],
    ["env.1FOO", { env: { "1FOO": "x" } }],
    ["env.", { env: { "": "x" } }],
    ["env.A=B", { env: { "A=B": "x" } }],
    ["env.A\\u000a\\u202e", { env: { "A\n\u202e": "x" } }],
    ["env.FOO", { env: { BAR: "x", FOO: "a\0b" } }],
    ["env", { env: { A: "x".repeat(64 * 1024), B: "x".repeat(64 * 1024) } }],
    ["workdir", { workdir: "" }],
    ["workdir", { workdir: "relative" }],
    ["workdir", { workdir: "/a\0b" }],
    ["workdir", { workdir: `/${"a".repeat(4_095)}` }],
    ["lifetime_ms", { lifetimeMs: 999 }],
    ["lifetime_ms", { lifetimeMs: 86_400_001 }],
    ["lifetime_ms", { lifetimeMs: -1 }],
    ["cpu_millis", { cpuMillis: 0 }],
    ["cpu_millis", { cpuMillis: 99 }],
    ["cpu_millis", { cpuMillis: 64_001 }],
    ["memory_mib", { memoryMib: 127 }],
    ["memory_mib", { memoryMib: 65_537 }],
    ["network", { network: { mode: undefined } }],
    ["network.allow.cidrs[0]", { network: allow("") }],
    ["network.allow.cidrs[1]", { network: allow("198.51.100.0/24", "198.51.100.1/24") }],
    ["network.allow.cidrs[1]", { network: allow("198.51.100.0/24", "198.51.100.0/24") }],
    ["network.allow.cidrs[2]", { network: allow("198.51.100.0/24", "2001:4860::/32", "nonsense") }],
    ["network.allow.cidrs[0]", { network: allow("169.254.169.254/32") }],
    ["network.allow.cidrs[0]", { network: allow("10.1.0.0/16") }],
    ["network.allow", { network: allow(...Array.from({ length: 257 }, (_, index) => `198.51.${index % 256}.0/32`)) }],
    ["pty", { pty: { columns: 80, rows: 24 } }],
    ["pty.columns", { command, pty: { columns: 0, rows: 24 } }],
    ["pty.rows", { command, pty: { columns: 80, rows: 1_001 } }],
    ["wait_ms", { waitMs: -1 }],
    ["wait_ms", { waitMs: 60_001 }],
  ])("is refused by the name of its field: %s", async (field, change) => {
    const before = await counts();
    expect(await refusal(create(change))).toMatchObject({ code: "InvalidArgument", field });
    expect(await counts()).toEqual(before);
  });

  it.each([
    ["app_name", { appName: "unheard-of" }],
    ["image", { image: "unheard-of" }],
  ])("names what does not exist: %s", async (field, change) => {
    const before = await counts();
    expect(await refusal(create(change))).toMatchObject({ code: "NotFound", field });
    expect(await counts()).toEqual(before);
  });

  it("is told from the edge of what is good", async () => {
    const env = { A: "x".repeat(64 * 1024 - 3), B: "x".repeat(64 * 1024 - 3) };
    const argv = ["a", "b".repeat(128 * 1024 - 3)];
    const created = await create({
      env,
      command: { argv },
      lifetimeMs: 1_000,
      cpuMillis: 100,
      memoryMib: 128,
      workdir: "/tmp",
      pty: { columns: 1, rows: 1_000 },
      network: allow("0.0.0.0/0", "::/0"),
    });
    expect(created.sandbox).toMatchObject({ lifetimeMs: 1_000, cpuMillis: 100, memoryMib: 128, command: { argv } });
    const id = created.sandbox?.id;
    const desired = await eventually("the wish", () =>
      [...worker.desired.values()].find((one) => one.sandboxId === id),
    );
    expect(desired.spec).toMatchObject({ env, workdir: "/tmp", pty: { columns: 1, rows: 1_000 }, pids: 1_024 });
    expect(desired.spec?.network?.allowIpv4).not.toContain("0.0.0.0/0");
    expect(desired.spec?.network?.grantedIpv4).toEqual([]);
  });
});

describe("grants", () => {
  it("open private ranges to their workspace alone", async () => {
    const granted = await makeWorkspace(api, "granted");
    await api.sql("UPDATE workspaces SET granted_cidrs = '{10.1.0.0/16}' WHERE id = $1", [granted.id]);
    const request = createRequest({ network: allow("10.1.2.0/24") });
    const created = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, granted.auth);
    const desired = await eventually("the wish", () =>
      [...worker.desired.values()].find((one) => one.sandboxId === created.sandbox?.id),
    );
    expect(desired.spec?.network).toMatchObject({ generation: 1, allowIpv4: [], grantedIpv4: ["10.1.2.0/24"] });
    expect(await refusal(create({ network: allow("10.1.2.0/24") }))).toMatchObject({ field: "network.allow.cidrs[0]" });
  });
});

describe("an idempotency key", () => {
  it("makes one sandbox however often it is used, also at once", async () => {
    const request = createRequest({ command, waitMs: 5_000 });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth)),
    );
    const again = await callUnary(api.sandboxes, api.sandboxes.createSandbox, { ...request, waitMs: 0 }, auth);
    const ids = new Set([...answers, again].map((answer) => answer.sandbox?.id));
    expect(ids.size).toBe(1);
    expect(again.ioAccess).toBeDefined();
    const rows = await api.sql("SELECT 1 FROM idempotency_keys WHERE key = $1", [request.idempotencyKey]);
    expect(rows).toHaveLength(1);
    const [instances] = await api.sql("SELECT count(*)::int AS n FROM instances WHERE sandbox_id = $1", [[...ids][0]]);
    expect(instances).toEqual({ n: 1 });
  });

  it.each<[string, Partial<CreateSandboxRequest>]>([
    ["command", { command: { argv: ["false"] } }],
    ["env", { env: { A: "1" } }],
    ["network", { network: open }],
    ["lifetime", { lifetimeMs: 5_000 }],
    ["image", { image: "default" }],
  ])("is refused with another %s", async (_what, change) => {
    const request = createRequest({ command });
    await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
    const other = callUnary(api.sandboxes, api.sandboxes.createSandbox, { ...request, ...change }, auth);
    expect(await refusal(other)).toMatchObject({ code: "AlreadyExists", field: "idempotency_key" });
  });

  it("does not mind the order of variables, and is each workspace's own", async () => {
    const other = await makeWorkspace(api, "other-keys");
    const request = createRequest({ env: { A: "1", B: "2" } });
    const first = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
    const reordered = { ...request, env: { B: "2", A: "1" } };
    const second = await callUnary(api.sandboxes, api.sandboxes.createSandbox, reordered, auth);
    const foreign = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, other.auth);
    expect(second.sandbox?.id).toBe(first.sandbox?.id);
    expect(foreign.sandbox?.id).not.toBe(first.sandbox?.id);
  });

  it("is free again after a refusal", async () => {
    const request = createRequest({ network: allow("nonsense") });
    await refusal(callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth));
    const mended = await callUnary(api.sandboxes, api.sandboxes.createSandbox, { ...request, network: open }, auth);
    expect(mended.sandbox?.outcome).toBeUndefined();
  });
});

describe("a start", () => {
  it.each<[string, Parameters<typeof outcome>[0], object]>([
    [
      "a program that is not there",
      { exitCode: 127, startErrorField: "command", message: "no such program" },
      { code: "InvalidArgument", field: "command" },
    ],
    [
      "a failure of the platform",
      { reason: EndReason.INIT_FAILURE, message: "no rules" },
      { code: "Unavailable", message: expect.stringContaining("no rules") as string },
    ],
    ["an end before the start", { reason: EndReason.TERMINATED, exitCode: 137 }, { code: "SandboxEnded" }],
  ])("tells %s, again when repeated", async (_what, end, refused) => {
    onWish = async (self, desired) => void (await self.report(desired, InstanceState.ENDED, outcome(end)));
    const request = createRequest({ command, waitMs: 5_000 });
    for (const _attempt of [1, 2]) {
      expect(await refusal(callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth))).toMatchObject(
        refused,
      );
    }
  });

  it("of a command that ends at once is none that failed", async () => {
    onWish = async (self, desired) => void (await self.report(desired, InstanceState.ENDED, EXITED));
    const created = await create({ command, waitMs: 5_000 });
    expect(created.sandbox).toMatchObject({ state: SandboxState.ENDED, outcome: { reason: EndReason.EXITED } });
    expect(created.ioAccess?.token).toBeTypeOf("string");
  });

  it("that takes too long is awaited on with the same key", async () => {
    onWish = idle;
    const request = createRequest({ command, waitMs: 50 });
    const late = await refusal(callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth));
    expect(late).toMatchObject({ code: "DeadlineExceeded" });
    const waiting = callUnary(api.sandboxes, api.sandboxes.createSandbox, { ...request, waitMs: 5_000 }, auth);
    const [row] = await api.sql("SELECT sandbox_id FROM idempotency_keys WHERE key = $1", [request.idempotencyKey]);
    const desired = await eventually("the wish", () =>
      [...worker.desired.values()].find((one) => one.sandboxId === row?.["sandbox_id"]),
    );
    await worker.report(desired, InstanceState.RUNNING);
    expect((await waiting).sandbox).toMatchObject({ id: desired.sandboxId, state: SandboxState.RUNNING });
  });
});
