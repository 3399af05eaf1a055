// Sandboxes made ahead, with a real runtime: taken once each, frozen until then, and none left behind.
import type { ChildProcess } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { InstanceState } from "@sallyport/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, tracesOf } from "../test/machine.ts";
import { startTestPlatform, type TestPlatform } from "../test/platform.ts";

const SIZE = 2;
/** Filling yields to everything else: on a busy machine it may take long. */
const FILL_MS = 60_000;
/** What is made ahead; processor time is as the tenant wishes. */
const AS_MADE = { memoryMib: 512, pids: 1_024, diskMib: 1_024, cpuMillis: 700 };

let platform: TestPlatform;
let worker: ChildProcess;
let cgroups: string;

beforeAll(async () => {
  platform = await startTestPlatform({ warmPool: SIZE });
  cgroups = `sallyport-${platform.platformId.slice(-8)}`;
  worker = platform.startWorker();
});

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

async function containers(): Promise<readonly string[]> {
  return readdir(join(platform.state, "bundles")).catch(() => []); // a worker that has just begun
}

async function isFrozen(containerId: string): Promise<boolean> {
  const v1 = `/sys/fs/cgroup/freezer/${cgroups}/${containerId}/freezer.state`;
  const v2 = `/sys/fs/cgroup/${cgroups}/${containerId}/cgroup.events`;
  const text = await readFile(v1, "utf8").catch(() => readFile(v2, "utf8").catch(() => "not made yet"));
  return text.trim() === "FROZEN" || text.includes("frozen 1");
}

/** The containers of a pool that is full and at rest, without those that are named. */
function filled(others: readonly string[]): Promise<string[]> {
  return eventually(
    "the pool is full",
    async () => {
      const pooled = (await containers()).filter((id) => !others.includes(id));
      const frozen = await Promise.all(pooled.map(isFrozen));
      return pooled.length === SIZE && frozen.every(Boolean) ? pooled : undefined;
    },
    FILL_MS,
  );
}

async function run(changes: Parameters<TestPlatform["wishRun"]>[0] = {}) {
  const { instanceId } = platform.wishRun({ ...AS_MADE, ...changes });
  const wishedAt = performance.now();
  await platform.api.reached(instanceId, InstanceState.RUNNING, 60_000);
  const ms = Math.round(performance.now() - wishedAt);
  return { instanceId, containerId: await platform.containerOf(instanceId), ms };
}

async function stop(instanceId: string): Promise<void> {
  platform.wishStop(instanceId);
  await platform.api.reached(instanceId, InstanceState.ENDED);
  expect(await platform.traces(instanceId)).toEqual([]);
}

describe("sandboxes made ahead", { timeout: 180_000 }, () => {
  it("are taken by what is as they are, thawed and limited, and are replaced", async () => {
    const before = await filled([]);
    const taken = await run();
    console.log(`wish to RUNNING, made ahead: ${taken.ms} ms`);
    expect(before).toContain(taken.containerId);
    expect(await isFrozen(taken.containerId)).toBe(false);
    expect(platform.gateway.attached.get(taken.instanceId)?.initSecret).toHaveLength(32);
    expect(platform.gateway.started.has(taken.instanceId)).toBe(true);
    const quota = await readFile(`/sys/fs/cgroup/cpu/${cgroups}/${taken.containerId}/cpu.cfs_quota_us`, "utf8");
    expect(quota.trim()).toBe("70000");
    const after = await filled([taken.containerId]);
    expect(after).not.toContain(taken.containerId);
    await stop(taken.instanceId);
    expect(new Set(await filled([]))).toEqual(new Set(after));
  });

  it("are never given twice", async () => {
    const seen = new Set<string>();
    const secrets = new Set<string>();
    for (let round = 0; round < 2; round += 1) {
      const started = await Promise.all([run(), run(), run()]);
      for (const { instanceId, containerId } of started) {
        expect(seen).not.toContain(containerId);
        seen.add(containerId);
        secrets.add(platform.gateway.attached.get(instanceId)?.initSecret.toString("hex") ?? "");
      }
      await Promise.all(started.map(({ instanceId }) => stop(instanceId)));
    }
    expect(secrets.size).toBe(seen.size);
    for (const pooled of await filled([])) expect(seen).not.toContain(pooled);
  });

  it("are left alone by what is otherwise", async () => {
    const before = await filled([]);
    for (const changes of [{ memoryMib: 256 }, { pids: 300 }, { diskMib: 512 }]) {
      const other = await run(changes);
      expect(before).not.toContain(other.containerId);
      await stop(other.instanceId);
    }
    expect(new Set(await filled([]))).toEqual(new Set(before));
  });

  it("are replaced when they die", async () => {
    const before = await filled([]);
    const dead = before[0] ?? "";
    const boot = (await tracesOf(dead)).find((trace) => trace.includes("runsc-sandbox"));
    process.kill(Number(/^process ([0-9]+)/.exec(boot ?? "")?.[1]), "SIGKILL");
    // A kill of what is frozen takes effect with the thaw.
    await thaw(dead);
    const after = await eventually(
      "another",
      async () => {
        const pooled = await filled([]);
        return pooled.includes(dead) ? undefined : pooled;
      },
      FILL_MS,
    );
    expect(after).toContain(before[1]);
    expect(await tracesOf(dead)).toEqual([]);
  });

  it("of a worker that was killed are destroyed by the next, what runs is not", async () => {
    const taken = await run();
    const before = await filled([taken.containerId]);
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    worker.kill("SIGKILL");
    await exited;
    worker = platform.startWorker();
    const after = await eventually(
      "others",
      async () => {
        const pooled = await filled([taken.containerId]);
        return pooled.some((id) => before.includes(id)) ? undefined : pooled;
      },
      FILL_MS,
    );
    expect(after).toHaveLength(SIZE);
    for (const id of before) expect(await tracesOf(id)).toEqual([]);
    expect(await platform.traces(taken.instanceId)).not.toEqual([]);
    await stop(taken.instanceId);
  });

  it("are finished or begun again when the worker is killed while one is claimed", async () => {
    for (const delayMs of [5, 15, 30, 60]) {
      await filled([]);
      const { instanceId } = platform.wishRun(AS_MADE);
      await new Promise((resolve) => setTimeout(resolve, delayMs)); // how far the claim has come is what varies
      const exited = new Promise((resolve) => worker.once("exit", resolve));
      worker.kill("SIGKILL");
      await exited;
      worker = platform.startWorker();
      await platform.api.reached(instanceId, InstanceState.RUNNING);
      expect(await isFrozen(await platform.containerOf(instanceId))).toBe(false);
      await stop(instanceId);
    }
  });

  it("go when the platform is taken down", async () => {
    await filled([]);
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    worker.send({ type: "down" });
    await exited;
    expect(await containers()).toEqual([]);
    expect(await tracesOf(cgroups)).toEqual([]);
  });
});

async function thaw(containerId: string): Promise<void> {
  const { run: runCommand } = await import("./system/command.ts");
  const script =
    'for f in "$@"; do [ -e "$f" ] && case $f in *state) echo THAWED;; *) echo 0;; esac > "$f"; done; true';
  const files = [
    `/sys/fs/cgroup/freezer/${cgroups}/${containerId}/freezer.state`,
    `/sys/fs/cgroup/${cgroups}/${containerId}/cgroup.freeze`,
  ];
  await runCommand(["sh", "-c", script, "sh", ...files]);
}
