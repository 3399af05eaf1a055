// A worker that is killed with -9 at any moment, and the next one that finds what it left.
import type { ChildProcess } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { EndReason, InstanceState } from "@sallyport/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, freshUlid, tracesOf } from "../test/machine.ts";
import { startTestPlatform, type TestPlatform } from "../test/platform.ts";

let platform: TestPlatform;
let worker: ChildProcess;

beforeAll(async () => {
  platform = await startTestPlatform();
  worker = platform.startWorker();
  await eventually("hello", async () => platform.api.hellos[0]);
});

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

async function killWorker(): Promise<void> {
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  worker.kill("SIGKILL");
  await exited;
}

async function restartWorker(): Promise<void> {
  const before = platform.api.hellos.length;
  worker = platform.startWorker();
  await eventually("hello again", async () => (platform.api.hellos.length > before ? true : undefined));
}

async function stopAndExpectNothing(instanceId: string): Promise<void> {
  platform.wishStop(instanceId);
  await platform.api.reached(instanceId, InstanceState.ENDED);
  expect(await platform.traces(instanceId)).toEqual([]);
}

/** The process of a sandbox's kernel. */
async function sandboxPid(instanceId: string): Promise<number> {
  const boot = (await platform.traces(instanceId)).filter((trace) => trace.includes("runsc-sandbox"));
  expect(boot).toHaveLength(1);
  return Number(/^process ([0-9]+)/.exec(boot[0] ?? "")?.[1]);
}

describe("after kill -9 of the worker", () => {
  it("finishes or begins again what was half started, and leaves nothing in the end", async () => {
    for (const delayMs of [5, 60, 150, 230]) {
      const { instanceId } = platform.wishRun();
      await new Promise((resolve) => setTimeout(resolve, delayMs)); // how far the start has come is what varies
      await killWorker();
      await restartWorker();
      await platform.api.reached(instanceId, InstanceState.RUNNING);
      await sandboxPid(instanceId);
      await stopAndExpectNothing(instanceId);
    }
  }, 120_000);

  it("adopts what runs, opens its doors again, and still hears its end", async () => {
    const { instanceId } = platform.wishRun();
    const { seq } = await platform.api.reached(instanceId, InstanceState.RUNNING);
    const pid = await sandboxPid(instanceId);
    const secret = platform.gateway.attached.get(instanceId)?.initSecret.toString("hex");
    await killWorker();
    await platform.restartGateway();
    await restartWorker();
    await eventually("opened again", async () =>
      platform.gateway.calls.includes(`open ${instanceId}`) ? true : undefined,
    );
    expect(await sandboxPid(instanceId)).toBe(pid);
    expect(platform.gateway.attached.get(instanceId)?.initSecret.toString("hex")).toBe(secret);
    expect(platform.gateway.calls).not.toContain(`start ${instanceId}`);
    expect(platform.api.latest(instanceId)).toMatchObject({ state: InstanceState.RUNNING, seq });
    const value = { reason: EndReason.EXITED, exitCode: 3 };
    platform.gateway.tell({ instanceId, event: { $case: "entrypointEnded", value } });
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome).toMatchObject(value);
    expect(await platform.traces(instanceId)).toEqual([]);
  });

  it("tells of a sandbox that ended meanwhile, and of one that was to end", async () => {
    const died = platform.wishRun();
    const stopped = platform.wishRun();
    for (const wish of [died, stopped]) await platform.api.reached(wish.instanceId, InstanceState.RUNNING);
    const pid = await sandboxPid(died.instanceId);
    await killWorker();
    process.kill(pid, "SIGKILL");
    platform.wishStop(stopped.instanceId);
    await restartWorker();
    const gone = await platform.api.reached(died.instanceId, InstanceState.ENDED);
    expect(gone.outcome?.reason).toBe(EndReason.INIT_FAILURE);
    const ended = await platform.api.reached(stopped.instanceId, InstanceState.ENDED);
    expect(ended.outcome?.reason).toBe(EndReason.TERMINATED);
    for (const wish of [died, stopped]) expect(await platform.traces(wish.instanceId)).toEqual([]);
  });

  it("sweeps what no record names", async () => {
    const containerId = `bx-${freshUlid()}`;
    await mkdir(join(platform.state, "bundles", containerId));
    const prefix = `sallyport-${platform.platformId.slice(-8)}`;
    await mkdir(`/sys/fs/cgroup/memory/${prefix}/${containerId}`, { recursive: true });
    await killWorker();
    await restartWorker();
    expect(await tracesOf(containerId)).toEqual([]);
    expect(await readdir(join(platform.state, "bundles"))).toEqual([]);
  });

  it("listens to no other platform's api", async () => {
    const { instanceId } = platform.wishRun();
    await platform.api.reached(instanceId, InstanceState.RUNNING);
    await killWorker();
    const own = platform.api.platformId;
    platform.api.platformId = freshUlid();
    platform.wishStop(instanceId);
    await restartWorker();
    const before = platform.api.hellos.length;
    await eventually("several tries", async () => (platform.api.hellos.length > before + 2 ? true : undefined));
    expect(platform.api.latest(instanceId)?.state).toBe(InstanceState.RUNNING);
    platform.api.platformId = own;
    await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(await platform.traces(instanceId)).toEqual([]);
  });
});
