// Placement against the database: never more than a worker has, whoever asks at once; and what is said when it is full.
import { SandboxState } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { describe, expect, it } from "vitest";
import { FakeWorker, HELLO, idle, obedient } from "../test/fake-worker.ts";
import { createRequest, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";

describe("placement", () => {
  it("is Unavailable without a worker, and never over-reserves with one", async () => {
    await using api = await startTestApi();
    const { auth } = await makeWorkspace(api, "tenant");
    const create = (change = {}) => callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest(change), auth);
    expect(await refusal(create())).toMatchObject({ code: "Unavailable" });

    const offer = { cpuMillis: 10_000, memoryMib: 5_120, maxInstances: 7 };
    await using _worker = await new FakeWorker(api, obedient, offer).ready();
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => create({ waitMs: 5_000 })));
    const made = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(made).toHaveLength(7);
    expect(await refusal(create())).toMatchObject({ code: "ResourceExhausted", hint: "end other sandboxes" });
    const [row] = await api.sql("SELECT count(*)::int AS n FROM instances WHERE ended_at IS NULL");
    expect(row).toEqual({ n: 7 });

    const sandboxId = made[0]?.sandbox?.id ?? "";
    await callUnary(api.sandboxes, api.sandboxes.terminateSandbox, { sandboxId, waitMs: 5_000 }, auth);
    expect(await refusal(create({ memoryMib: 4_096 }))).toMatchObject({
      code: "ResourceExhausted",
      field: "memory_mib",
    });
    expect(await refusal(create({ cpuMillis: 5_000 }))).toMatchObject({
      code: "ResourceExhausted",
      field: "cpu_millis",
    });
    expect((await create()).sandbox?.outcome).toBeUndefined();
  });

  it("passes by workers that were silent for too long, and shows what runs there as unreachable", async () => {
    await using api = await startTestApi();
    const { auth } = await makeWorkspace(api, "tenant");
    await using worker = await new FakeWorker(api, obedient).ready();
    const call = () => callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest({ waitMs: 5_000 }), auth);
    const sandboxId = (await call()).sandbox?.id ?? "";
    const get = async () => (await callUnary(api.sandboxes, api.sandboxes.getSandbox, { sandboxId }, auth)).sandbox;
    expect(await get()).toMatchObject({ state: SandboxState.RUNNING, unreachable: false });
    await worker.fallSilent();
    await api.sql("UPDATE workers SET last_seen_at = now() - interval '16 seconds'");
    expect(await get()).toMatchObject({ state: SandboxState.RUNNING, unreachable: true });
    expect(await refusal(call())).toMatchObject({ code: "Unavailable" });
    const status = await callUnary(api.admin, api.admin.getPlatformStatus, {});
    expect(status.workers).toMatchObject([{ id: HELLO.workerId, connected: false, instances: 1 }]);
    await worker.send([]);
    expect(await get()).toMatchObject({ state: SandboxState.RUNNING, unreachable: false });
    await call();
  });

  it("holds up nobody else while a crowd creates", async () => {
    await using api = await startTestApi();
    const { auth } = await makeWorkspace(api, "crowd");
    await using worker = await new FakeWorker(api, idle).ready();
    const order: string[] = [];
    const create = () => callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest(), auth);
    const crowd = Array.from({ length: 150 }, () => create().then(() => order.push("create")));
    await crowd[0];
    await worker.send([]).then(() => order.push("report"));
    await Promise.all(crowd);
    expect(order.indexOf("report")).toBeLessThan(75);
    const [row] = await api.sql("SELECT count(*)::int AS n FROM instances");
    expect(row).toEqual({ n: 150 });
  });
});
