// The worker with a real runtime: what the api wishes becomes so, is told, ends, and leaves nothing.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@sallyport/appkit/errors";
import type { RunningApp } from "@sallyport/appkit/lifecycle";
import { createLogger } from "@sallyport/appkit/logger";
import { EndReason, InstanceState, NetworkRules_Mode } from "@sallyport/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeNetwork, openFakeNetwork } from "../test/fake-network.ts";
import { eventually, tracesOf } from "../test/machine.ts";
import { startTestPlatform, type TestPlatform } from "../test/platform.ts";
import { type NetworkTellers, startWorker } from "./app.ts";
import { readConfig } from "./config.ts";
import { run } from "./system/command.ts";

let platform: TestPlatform;
let network: FakeNetwork;
let tellers: NetworkTellers;
let worker: RunningApp;

beforeAll(async () => {
  platform = await startTestPlatform();
  network = await openFakeNetwork(platform.platformId.slice(-6));
  worker = await startWorker(readConfig(platform.env), {
    logger: createLogger("worker", platform.env["SALLYPORT_LOG_LEVEL"]),
    startNetwork: async (given) => {
      tellers = given;
      return network;
    },
  });
});

afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
});

async function expectGone(instanceId: string): Promise<void> {
  expect(await platform.traces(instanceId)).toEqual([]);
  expect(network.boundSlots()).toEqual([]);
}

describe("a worker", () => {
  it("says what it has", async () => {
    const hello = await eventually("hello", async () => platform.api.hellos[0]);
    expect(hello).toMatchObject({ platformId: platform.platformId, ioAddress: "127.0.0.1:7351" });
    expect(hello.images.map(({ digest }) => digest)).toContain(platform.imageDigest);
    expect(hello.runscVersion).toMatch(/20[0-9]{6}/);
  });

  it("tells its machine's addresses once, and when they change, and takes those of the fleet", async () => {
    await eventually("its addresses", async () => platform.api.addresses[0]);
    tellers.onMachineAddresses?.(["198.51.100.9/32"]);
    await expect.poll(() => platform.api.addresses).toEqual([["198.51.100.1/32"], ["198.51.100.9/32"]]);
    platform.api.fleet = ["198.51.100.9/32", "2001:db8::9/128"];
    platform.api.announce();
    await expect.poll(() => network.fleet).toEqual(platform.api.fleet);
  });

  it("tells what a sandbox was denied as events of that sandbox", async () => {
    const { instanceId } = platform.wishRun();
    await platform.api.reached(instanceId, InstanceState.RUNNING);
    const [slot] = network.boundSlots();
    const denied = { destination: "198.51.100.7", port: 443, protocol: "tcp", rule: "unlisted", hint: "", count: 3 };
    tellers.onDenials?.((slot ?? 0) + 1, [denied]);
    tellers.onDenials?.(slot ?? 0, [denied, { more: 7 }]);
    const told = () => platform.api.reports.flatMap(({ report }) => report.events);
    await expect.poll(() => new Set(told().map(({ seq }) => seq))).toEqual(new Set([1, 2]));
    expect(told().map(({ type, detail }) => ({ type, detail }))).toEqual(
      expect.arrayContaining([
        { type: "network_denied", detail: denied },
        { type: "network_denied", detail: { more: 7 } },
      ]),
    );
    platform.wishStop(instanceId);
    await platform.api.reached(instanceId, InstanceState.ENDED);
    await expectGone(instanceId);
  });

  it("runs what is wished, policy first, and takes it away when that is wished", async () => {
    const { instanceId, sandboxId } = platform.wishRun();
    const wishedAt = performance.now();
    const running = await platform.api.reached(instanceId, InstanceState.RUNNING);
    const reported = platform.api.reports.find(({ report }) => report === running)?.atMs ?? 0;
    console.log(`wish to RUNNING: ${Math.round(reported - wishedAt)} ms`);
    expect(running.networkGeneration).toBe(1);
    expect(platform.gateway.calls.filter((call) => call.endsWith(instanceId))).toEqual([
      `attach ${instanceId}`,
      `start ${instanceId}`,
      `open ${instanceId}`,
    ]);
    expect(platform.gateway.attached.get(instanceId)).toMatchObject({ sandboxId, generation: 1, ipv4: "198.51.100.2" });
    expect(platform.gateway.attached.get(instanceId)?.initSecret).toHaveLength(32);
    expect(platform.gateway.started.get(instanceId)?.env).toEqual({ GREETING: "hi" });
    expect(network.applied.at(-1)).toBe("blocked");

    platform.wishStop(instanceId);
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome).toMatchObject({ reason: EndReason.TERMINATED, exitCode: 137 });
    expect(ended.seq).toBeGreaterThan(running.seq);
    expect(platform.gateway.calls).toContain(`detach ${instanceId}`);
    await expectGone(instanceId);
  });

  it("tells how the command ended", async () => {
    const { instanceId } = platform.wishRun();
    await platform.api.reached(instanceId, InstanceState.RUNNING);
    const value = { reason: EndReason.EXITED, exitCode: 7 };
    platform.gateway.tell({ instanceId, event: { $case: "entrypointEnded", value } });
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome).toMatchObject(value);
    await expectGone(instanceId);
  });

  it("does not start a sandbox whose rules cannot be loaded", async () => {
    network.refusing = true;
    try {
      const { instanceId } = platform.wishRun();
      const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
      expect(ended.outcome?.reason).toBe(EndReason.INIT_FAILURE);
      expect(ended.outcome?.message).toContain("network policy could not be applied");
      expect(platform.gateway.started.has(instanceId)).toBe(false);
      await expectGone(instanceId);
    } finally {
      network.refusing = false;
    }
  });

  it("tells a command that cannot be started from a sandbox that cannot", async () => {
    const refusal = new AppError("InvalidArgument", "command: cannot start nope: no such file or directory", {
      field: "command",
    });
    platform.gateway.failures.set("start", refusal);
    const { instanceId } = platform.wishRun();
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    platform.gateway.failures.clear();
    expect(ended.outcome).toMatchObject({ reason: EndReason.EXITED, exitCode: 127, startErrorField: "command" });
    await expectGone(instanceId);
  });

  it("ends what has lived long enough", async () => {
    const { instanceId } = platform.wishRun({ lifetimeMs: 300 });
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome).toMatchObject({ reason: EndReason.TIMEOUT, exitCode: 124 });
    await expectGone(instanceId);
  });

  it("refuses a wish whose rules or image it cannot have", async () => {
    const mode = { generation: 1, mode: NetworkRules_Mode.UNSPECIFIED };
    const lists = { allowIpv4: [], allowIpv6: [], grantedIpv4: [], grantedIpv6: [], portRules: [] };
    const unruly = platform.wishRun({ network: { ...mode, ...lists } });
    const imageless = platform.wishRun({ imageDigest: `sha256:${"0".repeat(64)}` });
    for (const { instanceId } of [unruly, imageless]) {
      const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
      expect(ended.outcome?.reason).toBe(EndReason.INIT_FAILURE);
      await expectGone(instanceId);
    }
  });

  it("keeps a stop of what it has never seen against a late wish to run", async () => {
    const wish = platform.wishRun();
    const late = {
      ...wish,
      instanceId: `in-${wish.instanceId.slice(3).split("").toReversed().join("").replace(/^./, "0")}`,
    };
    platform.wishStop(late.instanceId);
    const ended = await platform.api.reached(late.instanceId, InstanceState.ENDED);
    expect(ended.outcome?.reason).toBe(EndReason.TERMINATED);
    platform.api.wishes.set(late.instanceId, late);
    platform.api.announce();
    await platform.api.reached(wish.instanceId, InstanceState.RUNNING);
    expect(
      platform.api.reports.some(
        ({ report }) => report.instanceId === late.instanceId && report.state === InstanceState.RUNNING,
      ),
    ).toBe(false);
    platform.wishStop(wish.instanceId);
    await platform.api.reached(wish.instanceId, InstanceState.ENDED);
  });

  it("gives a running instance a newer policy, and no older one", async () => {
    const wish = platform.wishRun();
    await platform.api.reached(wish.instanceId, InstanceState.RUNNING);
    const { spec } = wish;
    if (spec?.network === undefined) throw new Error("no policy");
    for (const [generation, mode] of [
      [3, NetworkRules_Mode.OPEN],
      [2, NetworkRules_Mode.BLOCKED],
    ] as const) {
      const changed = { ...wish, spec: { ...spec, network: { ...spec.network, generation, mode } } };
      platform.api.wishes.set(wish.instanceId, changed);
      platform.api.announce();
      await eventually("reported", async () =>
        platform.api.latest(wish.instanceId)?.networkGeneration === 3 ? true : undefined,
      );
    }
    platform.wishStop(wish.instanceId);
    await platform.api.reached(wish.instanceId, InstanceState.ENDED);
    expect(network.applied.at(-1)).toBe("open");
  });

  it("attaches every instance again when the gateway comes back", async () => {
    const { instanceId } = platform.wishRun();
    await platform.api.reached(instanceId, InstanceState.RUNNING);
    await platform.restartGateway();
    await eventually("opened again", async () =>
      platform.gateway.calls.includes(`open ${instanceId}`) ? true : undefined,
    );
    const value = { reason: EndReason.SIGNALLED, exitCode: 143, signal: "SIGTERM" };
    platform.gateway.tell({ instanceId, event: { $case: "entrypointEnded", value } });
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome).toMatchObject(value);
  });

  it("keeps what the api does not know, and does not end it", async () => {
    const { instanceId } = platform.wishRun({ lifetimeMs: 1_500 });
    await platform.api.reached(instanceId, InstanceState.RUNNING);
    const wish = platform.api.wishes.get(instanceId);
    platform.api.wishes.clear();
    platform.api.announce();
    await new Promise((resolve) => setTimeout(resolve, 2_000)); // past its lifetime
    expect(platform.api.latest(instanceId)?.state).toBe(InstanceState.RUNNING);
    if (wish !== undefined) platform.api.wishes.set(instanceId, wish);
    platform.api.announce();
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.outcome?.reason).toBe(EndReason.TIMEOUT);
  });

  it("tells of a full disk while the sandbox goes on, until the api has it", async () => {
    const { instanceId } = platform.wishRun({ diskMib: 32 });
    await platform.api.reached(instanceId, InstanceState.RUNNING);
    const bundle = join(platform.state, "bundles", await platform.containerOf(instanceId));
    await writeFile(join(bundle, "hostname"), "fill\n"); // what the tests' init goes by
    const told = await eventually(
      "told",
      async () => {
        await run(["sync"], { timeoutMs: 20_000 }); // the kernel may put off writing, and so counting, for half a minute
        return platform.api.latest(instanceId)?.events.find(({ type }) => type === "disk_full");
      },
      30_000,
    );
    expect(told).toMatchObject({ seq: 1, detail: { diskMib: 32 } });
    expect(platform.api.latest(instanceId)?.state).toBe(InstanceState.RUNNING);
    await eventually("not told again", async () => {
      const record = await readFile(join(platform.state, "instances", `${instanceId}.json`), "utf8");
      return record.includes("disk_full") ? undefined : true;
    });
    platform.wishStop(instanceId);
    const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
    expect(ended.events).toEqual([]);
    await expectGone(instanceId);
  });

  it("leaves sandboxes running when it stops, and ends them when it is taken down", async () => {
    const first = platform.wishRun();
    const second = platform.wishRun();
    await Promise.all([first, second].map((wish) => platform.api.reached(wish.instanceId, InstanceState.RUNNING)));
    await worker[Symbol.asyncDispose]();
    expect(await platform.traces(first.instanceId)).not.toEqual([]);
    network = await openFakeNetwork(platform.platformId.slice(-6));
    worker = await startWorker(readConfig(platform.env), {
      logger: createLogger("worker", platform.env["SALLYPORT_LOG_LEVEL"]),
      startNetwork: async (given) => {
        tellers = given;
        return network;
      },
    });
    const before = performance.now();
    await worker.down?.();
    console.log(`down: ${Math.round(performance.now() - before)} ms`);
    for (const { instanceId } of [first, second]) {
      const ended = await platform.api.reached(instanceId, InstanceState.ENDED);
      expect(ended.outcome?.reason).toBe(EndReason.TERMINATED);
      await expectGone(instanceId);
    }
    expect(await tracesOf(platform.platformId.slice(-8))).toEqual([]);
  });
});
