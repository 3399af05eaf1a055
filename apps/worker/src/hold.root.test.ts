// Sandboxes whose router has lost its rules, with a real runtime: all stand still until the rules are back, and none of
// them takes that for a sleep.
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { InstanceReport, WatchInstancesResponse } from "@sallyport/contracts";
import { EndReason, InstanceState } from "@sallyport/contracts";
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

function somebodyComes(instanceId: string): void {
  tell(instanceId, { $case: "activity", value: { busy: true, sinceMs: 0 } });
  tell(instanceId, { $case: "wakeWanted", value: {} });
}

async function running(changes: Parameters<TestPlatform["wishRun"]>[0] = {}): Promise<string> {
  const { instanceId } = platform.wishRun(changes);
  await platform.api.reached(instanceId, InstanceState.RUNNING);
  return instanceId;
}

async function asleep(): Promise<string> {
  const instanceId = await running({ sleepAfterMs: 100 });
  tell(instanceId, { $case: "activity", value: { busy: false, sinceMs: 0 } });
  await reported(instanceId, true);
  return instanceId;
}

async function reported(instanceId: string, isAsleep: boolean): Promise<InstanceReport> {
  return await eventually(isAsleep ? "asleep" : "awake", async () => {
    const latest = platform.api.latest(instanceId);
    return latest?.asleep === isAsleep ? latest : undefined;
  });
}

/** Whether its processes stand still, by its own doing or by that of the directory around it. */
function standsStill(instanceId: string): boolean {
  const record: unknown = JSON.parse(readFileSync(join(platform.state, "instances", `${instanceId}.json`), "utf8"));
  const { containerId } = record as { readonly containerId: string };
  const directory = `/sys/fs/cgroup/freezer/sallyport-${platform.platformId.slice(-8)}/${containerId}`;
  return readFileSync(`${directory}/freezer.state`, "utf8").trim() === "FROZEN";
}

const stillness = (instanceIds: readonly string[]): boolean[] => instanceIds.map(standsStill);

async function become(instanceIds: readonly string[], still: readonly boolean[]): Promise<void> {
  await expect.poll(() => stillness(instanceIds), { timeout: 5_000 }).toEqual(still);
}

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
  const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
  expect(ended.outcome?.reason).toBe(EndReason.TERMINATED);
  expect(await platform.traces(instanceId)).toEqual([]);
}

describe("while the router has no rules", () => {
  it("every sandbox stands still, nobody who comes wakes one, and none is said to sleep", async () => {
    const [awake, woken, sleeper] = [await running(), await asleep(), await asleep()];
    await platform.loseRules(true);
    await become([awake, woken, sleeper], [true, true, true]);
    somebodyComes(woken);
    await reported(woken, false);
    expect(stillness([awake, woken, sleeper])).toEqual([true, true, true]);
    expect(platform.api.latest(awake)?.asleep).toBe(false);
    await platform.loseRules(false);
    await become([awake, woken, sleeper], [false, false, true]);
    expect(platform.api.latest(sleeper)?.asleep).toBe(true);
    expect(platform.api.latest(awake)?.events).toEqual([]);
    for (const instanceId of [awake, woken, sleeper]) await stopAndExpectNothing(instanceId);
  });

  it("one that is to end ends, without going on for a moment, and one that is being started waits", async () => {
    const ending = await running();
    await platform.loseRules(true);
    await become([ending], [true]);
    const { instanceId } = platform.wishRun();
    await stopAndExpectNothing(ending);
    await new Promise((resolve) => setTimeout(resolve, 500)); // the start would have come to its end by now
    expect(platform.api.latest(instanceId)?.state).toBe(InstanceState.STARTING);
    await platform.loseRules(false);
    await platform.api.reached(instanceId, InstanceState.RUNNING);
    await stopAndExpectNothing(instanceId);
  });
});

describe("after kill -9 of a worker that held them", () => {
  it("they go on when the next one has loaded the rules, and who slept sleeps", async () => {
    const [awake, sleeper] = [await running(), await asleep()];
    await platform.loseRules(true);
    await become([awake, sleeper], [true, true]);
    await killWorker();
    expect(stillness([awake, sleeper])).toEqual([true, true]);
    await platform.loseRules(false);
    await restartWorker();
    await become([awake, sleeper], [false, true]);
    await platform.api.reached(awake, InstanceState.RUNNING);
    expect([platform.api.latest(awake)?.asleep, platform.api.latest(sleeper)?.asleep]).toEqual([false, true]);
    somebodyComes(sleeper);
    await reported(sleeper, false);
    await become([sleeper], [false]);
    await stopAndExpectNothing(awake);
    await stopAndExpectNothing(sleeper);
  });
});
