// Sleep with a real runtime: frozen sandboxes use no processor time, wake, end, and outlive a kill of their worker.
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { InstanceReport, WatchInstancesResponse } from "@sallyport/contracts";
import { EndReason, InstanceState, NetworkRules_Mode } from "@sallyport/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../test/machine.ts";
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

function tell(instanceId: string, event: NonNullable<WatchInstancesResponse["event"]>): void {
  platform.gateway.tell({ instanceId, event });
}

function tellIdle(instanceId: string, sinceMs = 0): void {
  tell(instanceId, { $case: "activity", value: { busy: false, sinceMs } });
}

/** What a gateway does when somebody comes to a sleeping sandbox. */
function somebodyComes(instanceId: string): void {
  tell(instanceId, { $case: "activity", value: { busy: true, sinceMs: 0 } });
  tell(instanceId, { $case: "wakeWanted", value: {} });
}

async function running(changes: Parameters<TestPlatform["wishRun"]>[0] = {}): Promise<string> {
  const { instanceId } = platform.wishRun(changes);
  await platform.api.reached(instanceId, InstanceState.RUNNING);
  return instanceId;
}

async function reported(instanceId: string, asleep: boolean): Promise<InstanceReport> {
  return await eventually(asleep ? "asleep" : "awake", async () => {
    const latest = platform.api.latest(instanceId);
    return latest?.asleep === asleep ? latest : undefined;
  });
}

async function stopAndExpectNothing(instanceId: string): Promise<void> {
  platform.wishStop(instanceId);
  const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
  expect(ended.outcome?.reason).toBe(EndReason.TERMINATED);
  expect(await platform.traces(instanceId)).toEqual([]);
}

function cgroupFile(controller: string, instanceId: string, file: string): string {
  const record: unknown = JSON.parse(readFileSync(join(platform.state, "instances", `${instanceId}.json`), "utf8"));
  const { containerId } = record as { readonly containerId: string };
  const directory = `/sys/fs/cgroup/${controller}/sallyport-${platform.platformId.slice(-8)}/${containerId}`;
  return readFileSync(join(directory, file), "utf8").trim();
}

const isFrozen = (instanceId: string) => cgroupFile("freezer", instanceId, "freezer.state") === "FROZEN";
/** Nanoseconds of processor time so far. */
const usedNs = (instanceId: string) => Number(cgroupFile("cpuacct", instanceId, "cpuacct.usage"));

/** How often the gateway was called so. */
const calls = (word: string, instanceId: string) =>
  platform.gateway.calls.filter((call) => call === `${word} ${instanceId}`).length;

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

describe("a sandbox that nothing uses", () => {
  it("sleeps at no cost, wakes for whoever comes, and sleeps again", async () => {
    const instanceId = await running({ sleepAfterMs: 300 });
    tellIdle(instanceId);
    const { events } = await reported(instanceId, true);
    expect(events.map(({ type, detail }) => ({ type, detail }))).toEqual([{ type: "asleep", detail: { by: "idle" } }]);
    expect(isFrozen(instanceId)).toBe(true);
    expect(calls("suspend", instanceId)).toBe(1);
    const before = usedNs(instanceId);
    await new Promise((resolve) => setTimeout(resolve, 500)); // what is measured is the processor time of this while
    expect(usedNs(instanceId)).toBe(before);
    const startedAt = performance.now();
    somebodyComes(instanceId);
    await eventually("resumed", async () => (calls("resume", instanceId) > 0 ? true : undefined));
    console.log(`wake wanted to resumed: at most ${Math.round(performance.now() - startedAt)} ms`);
    const awake = await reported(instanceId, false);
    expect(awake.events.at(-1)).toMatchObject({ type: "awake", detail: { by: "use" } });
    expect(isFrozen(instanceId)).toBe(false);
    tellIdle(instanceId);
    await reported(instanceId, true);
    await stopAndExpectNothing(instanceId);
  });

  it("ends by its idle timeout, asleep as well", async () => {
    const instanceId = await running({ sleepAfterMs: 200, idleTimeoutMs: 1_500 });
    tellIdle(instanceId);
    await reported(instanceId, true);
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome).toMatchObject({ reason: EndReason.IDLE, exitCode: 124 });
    expect(await platform.traces(instanceId)).toEqual([]);
  });

  it("ends by its lifetime asleep", async () => {
    const instanceId = await running({ sleepAfterMs: 200, lifetimeMs: 1_500 });
    tellIdle(instanceId);
    await reported(instanceId, true);
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome).toMatchObject({ reason: EndReason.TIMEOUT });
    expect(await platform.traces(instanceId)).toEqual([]);
  });
});

describe("by hand", () => {
  it("sleeps though it is used, takes a policy asleep, and wakes", async () => {
    const instanceId = await running();
    tell(instanceId, { $case: "activity", value: { busy: true, sinceMs: 0 } });
    const wish = platform.api.wishes.get(instanceId);
    if (wish?.spec?.network === undefined) throw new Error("no wish");
    const wished = (changes: Partial<typeof wish>) => {
      platform.api.wishes.set(instanceId, { ...wish, ...changes });
      platform.api.announce();
    };
    wished({ sleepGeneration: 1, asleep: true });
    expect(await reported(instanceId, true)).toMatchObject({ sleepGeneration: 1 });
    expect(calls("suspend!", instanceId)).toBe(1);
    const network = { ...wish.spec.network, generation: 2, mode: NetworkRules_Mode.OPEN };
    wished({ sleepGeneration: 1, asleep: true, spec: { ...wish.spec, network } });
    await eventually("the policy", async () =>
      platform.api.latest(instanceId)?.networkGeneration === 2 ? true : undefined,
    );
    expect(isFrozen(instanceId)).toBe(true);
    expect(platform.api.latest(instanceId)?.asleep).toBe(true);
    wished({ sleepGeneration: 2, asleep: false, spec: { ...wish.spec, network } });
    expect(await reported(instanceId, false)).toMatchObject({ sleepGeneration: 2 });
    expect(isFrozen(instanceId)).toBe(false);
    await stopAndExpectNothing(instanceId);
  });
});

describe("after kill -9 of the worker", () => {
  it("a sleeping sandbox sleeps on, and is woken, ended, or attached as asleep to another gateway", async () => {
    const woken = await running({ sleepAfterMs: 100 });
    const stopped = await running({ sleepAfterMs: 100 });
    for (const instanceId of [woken, stopped]) {
      tellIdle(instanceId);
      await reported(instanceId, true);
    }
    await killWorker();
    await platform.restartGateway();
    await restartWorker();
    for (const instanceId of [woken, stopped]) {
      await eventually("opened again", async () => (calls("open", instanceId) > 0 ? true : undefined));
      expect(platform.gateway.attached.get(instanceId)?.asleep).toBe(true);
      expect(isFrozen(instanceId)).toBe(true);
      expect(platform.api.latest(instanceId)?.asleep).toBe(true);
    }
    somebodyComes(woken);
    await reported(woken, false);
    expect(isFrozen(woken)).toBe(false);
    await stopAndExpectNothing(woken);
    await stopAndExpectNothing(stopped);
  });

  it("at any moment of falling asleep or waking, the freezer tells the truth", async () => {
    const instanceId = await running({ sleepAfterMs: 50 });
    for (const delayMs of [0, 1, 2, 4, 8]) {
      tellIdle(instanceId, 50);
      await new Promise((resolve) => setTimeout(resolve, delayMs)); // how far it has come is what varies
      await killWorker();
      const opened = calls("open", instanceId);
      await restartWorker();
      await eventually("opened again", async () => (calls("open", instanceId) > opened ? true : undefined));
      tellIdle(instanceId, 50);
      await reported(instanceId, true);
      expect(isFrozen(instanceId)).toBe(true);
      somebodyComes(instanceId);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await killWorker();
      await restartWorker();
      somebodyComes(instanceId);
      await reported(instanceId, false);
      expect(isFrozen(instanceId)).toBe(false);
    }
    await stopAndExpectNothing(instanceId);
  }, 240_000);
});
