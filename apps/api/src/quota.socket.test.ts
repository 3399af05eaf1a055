// Quotas: judged with the create, race-free; set by the operator; shown to the workspace.
import { randomUUID } from "node:crypto";
import type { SetWorkspaceQuotaRequest } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, listRequest, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let workspace: string;
let auth: Awaited<ReturnType<typeof makeWorkspace>>["auth"];
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
});
beforeEach(async () => {
  workspace = `w-${randomUUID()}`;
  ({ auth } = await makeWorkspace(api, workspace));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const setQuota = (change: Partial<SetWorkspaceQuotaRequest>) =>
  callUnary(api.admin, api.admin.setWorkspaceQuota, { workspace, ...change });
const usage = () => callUnary(api.workspaces, api.workspaces.getUsage, {}, auth);
const create = async (change = {}) => {
  const { sandboxes } = api;
  const answer = await callUnary(sandboxes, sandboxes.createSandbox, createRequest(change), auth);
  return answer.sandbox?.id ?? "";
};
const terminate = (sandboxId: string) =>
  callUnary(api.sandboxes, api.sandboxes.terminateSandbox, { sandboxId, waitMs: 5_000 }, auth);

describe("a quota", () => {
  it.each([
    ["sandboxes", { sandboxes: 2 }, undefined],
    ["cpu_millis", { cpuMillis: 2_500 }, "cpu_millis"],
    ["memory_mib", { memoryMib: 1_100 }, "memory_mib"],
    ["disk_mib", { diskMib: 2_100 }, "disk_mib"],
  ])("of %s holds, and is free again when a sandbox ends", async (name, quota, field) => {
    await setQuota(quota);
    const [first] = [await create(), await create()];
    const refused = await refusal(create());
    expect(refused).toMatchObject({ code: "ResourceExhausted", field, retryAfterMs: undefined });
    const limit = Object.values(quota)[0];
    expect(refused.message).toContain(`quota of ${name} is ${limit}: `);
    expect(refused.hint).toContain("raise it");
    await terminate(first ?? "");
    await create();
  });

  it("of creates per minute says when to come again", async () => {
    await setQuota({ createsPerMinute: 3 });
    for (let index = 0; index < 3; index += 1) await terminate(await create());
    const refused = await refusal(create());
    expect(refused).toMatchObject({ code: "ResourceExhausted", field: undefined });
    expect(refused.message).toContain("quota of creates_per_minute is 3: 3 used");
    expect(refused.retryAfterMs).toBeGreaterThan(30_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(60_000);
    await api.sql("UPDATE sandboxes SET created_at = created_at - interval '59 seconds' WHERE workspace_id = $1", [
      (await workspaceId()) ?? "",
    ]);
    const sooner = await refusal(create());
    expect(sooner.retryAfterMs ?? 60_000).toBeLessThan(30_000);
    await api.sql("UPDATE sandboxes SET created_at = created_at - interval '2 seconds' WHERE workspace_id = $1", [
      (await workspaceId()) ?? "",
    ]);
    await create();
  });

  it("lets exactly as many in as there is room for, however many come at once", async () => {
    await setQuota({ sandboxes: 5 });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => create()));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(5);
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      expect(await refusal(Promise.reject(result.reason as Error))).toMatchObject({ code: "ResourceExhausted" });
    }
    const listed = await callUnary(api.sandboxes, api.sandboxes.listSandboxes, listRequest(), auth);
    expect(listed.sandboxes).toHaveLength(5);
  });

  it("is not asked again for a create that was made already", async () => {
    await setQuota({ sandboxes: 1 });
    const idempotencyKey = randomUUID();
    const made = await create({ idempotencyKey });
    expect(await create({ idempotencyKey })).toBe(made);
  });

  it("is one workspace's own", async () => {
    await setQuota({ sandboxes: 1 });
    await create();
    const other = await makeWorkspace(api, `w-${randomUUID()}`);
    await callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest(), other.auth);
  });

  it("is shown with what is used of it", async () => {
    const sandboxId = await create({ cpuMillis: 250, memoryMib: 256, diskMib: 64 });
    const { quota, used } = await usage();
    expect(quota).toEqual({
      sandboxes: 1_000,
      cpuMillis: 1_000_000,
      memoryMib: 1_048_576,
      diskMib: 4_194_304,
      createsPerMinute: 1_200,
    });
    expect(used).toEqual({ sandboxes: 1, cpuMillis: 250, memoryMib: 256, diskMib: 64, createsPerMinute: 1 });
    await terminate(sandboxId);
    const after = await usage();
    expect(after.used).toEqual({ sandboxes: 0, cpuMillis: 0, memoryMib: 0, diskMib: 0, createsPerMinute: 1 });
  });

  it("is set bound by bound; 0 is none", async () => {
    expect((await setQuota({ sandboxes: 1 })).quota).toMatchObject({ sandboxes: 1, cpuMillis: 1_000_000 });
    expect((await setQuota({ cpuMillis: 5 })).quota).toMatchObject({ sandboxes: 1, cpuMillis: 5 });
    expect(await refusal(create())).toMatchObject({ code: "ResourceExhausted" });
    expect((await setQuota({ sandboxes: 0, cpuMillis: 0, createsPerMinute: 0 })).quota).toMatchObject({ sandboxes: 0 });
    await Promise.all([create(), create()]);
    expect((await usage()).used).toMatchObject({ sandboxes: 2, createsPerMinute: 2 });
  });

  it.each([
    ["workspace", "InvalidArgument", { workspace: "No" }],
    ["workspace", "NotFound", { workspace: "unheard-of" }],
    ["disk_mib", "InvalidArgument", { diskMib: 1_000_000_001 }],
  ])("is judged: %s, %s", async (field, code, change) => {
    expect(await refusal(setQuota(change))).toMatchObject({ code, field });
  });
});

async function workspaceId(): Promise<unknown> {
  const [row] = await api.sql("SELECT id FROM workspaces WHERE name = $1", [workspace]);
  return row?.["id"];
}
