// What sandboxes cost that do nothing: CPU and memory of each, awake and asleep, and what the platform around them grows.
import { Sandbox } from "@sallyport/sdk";
import { terminateAll } from "./burst.ts";
import type { DockerPeer } from "./docker-peer.ts";
import { setFrozen } from "./freezer.ts";
import type { Inventory } from "./inventory.ts";
import { inventoryOf, inventoryOfDocker, memoryOfEach } from "./inventory.ts";
import { coresOver, memoryMiB } from "./processes.ts";
import type { Room, Side } from "./room.ts";
import { pause } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";

/** Few enough that two cores still have time to spare: awake, each takes some of one. */
const AWAKE_COUNT = 10;
const COUNT = 50;
const SETTLE_MS = 5_000;
const WINDOW_MS = 20_000;

interface Cost {
  readonly awakeCores: readonly number[];
  /** Empty where nothing sleeps. */
  readonly asleepCores: readonly number[];
  readonly memoryMiB: readonly number[];
  /** Growth of what serves all, for each. */
  readonly aroundMiB: readonly number[];
}

const NOTHING: Cost = { awakeCores: [], asleepCores: [], memoryMiB: [], aroundMiB: [] };

export async function benchIdle({ say, signal, cold, docker }: Room): Promise<Result[]> {
  const ours = await ourCost(cold, say, signal);
  const theirs = docker === undefined ? NOTHING : await dockerCost(docker, say, signal);
  const idle = "docker run -d, idle, same runtime";
  // Both sides stand still while their memory is read: on two cores, fifty awake leave no time for anything else.
  const memory = { unit: "MiB", ours: ours.memoryMiB, peer: theirs.memoryMiB, peerName: idle, target: 0.95 } as const;
  return [
    compare({ name: "idle/memory", ...memory }),
    compare({
      name: "idle/memory-around",
      unit: "MiB",
      ours: ours.aroundMiB,
      peerName: "growth of dockerd and containerd",
      peer: theirs.aroundMiB,
    }),
    compare({ name: "idle/cpu", unit: "cores", ours: ours.awakeCores, peerName: idle, peer: theirs.awakeCores }),
    compare({
      name: "idle/cpu-asleep",
      unit: "cores",
      ours: ours.asleepCores,
      peerName: idle,
      peer: theirs.awakeCores,
    }),
  ];
}

async function ourCost({ client, platform }: Side, say: (line: string) => void, signal: AbortSignal): Promise<Cost> {
  const sandboxes: Sandbox[] = [];
  try {
    const before = memoryMiB((await inventoryOf(platform)).around);
    say(`idle: ${AWAKE_COUNT} sandboxes for ${WINDOW_MS / 1_000} s`);
    while (sandboxes.length < AWAKE_COUNT) sandboxes.push(await Sandbox.create({ client, signal }));
    await pause(SETTLE_MS, signal);
    const awakeCores = await coresOfEach(await inventoryOf(platform));
    for (const sandbox of sandboxes) await sandbox.sleep({ signal });
    say(`idle: ${COUNT} sandboxes, asleep for ${WINDOW_MS / 1_000} s`);
    while (sandboxes.length < COUNT) {
      const sandbox = await Sandbox.create({ client, signal });
      sandboxes.push(sandbox);
      await sandbox.sleep({ signal });
    }
    await pause(SETTLE_MS, signal);
    const inventory = await inventoryOf(platform);
    mustBe(inventory, COUNT);
    const growth = (memoryMiB(inventory.around) - before) / COUNT;
    const memory = memoryOfEach(inventory);
    return { awakeCores, asleepCores: await coresOfEach(inventory), memoryMiB: memory, aroundMiB: [growth] };
  } finally {
    await terminateAll(sandboxes);
  }
}

async function dockerCost(docker: DockerPeer, say: (line: string) => void, signal: AbortSignal): Promise<Cost> {
  const ids: string[] = [];
  const start = async () => {
    signal.throwIfAborted();
    const id = await docker.start();
    ids.push(id);
    return id;
  };
  try {
    const before = memoryMiB(inventoryOfDocker(docker.engine, ids).around);
    say(`idle: ${AWAKE_COUNT} containers for ${WINDOW_MS / 1_000} s`);
    while (ids.length < AWAKE_COUNT) await start();
    await pause(SETTLE_MS, signal);
    const awakeCores = await coresOfEach(inventoryOfDocker(docker.engine, ids));
    for (const id of ids) await setFrozen(id, true);
    say(`idle: memory of ${COUNT} containers`);
    while (ids.length < COUNT) await setFrozen(await start(), true);
    await pause(SETTLE_MS, signal);
    const inventory = inventoryOfDocker(docker.engine, ids);
    mustBe(inventory, COUNT);
    const growth = (memoryMiB(inventory.around) - before) / COUNT;
    return { awakeCores, asleepCores: [], memoryMiB: memoryOfEach(inventory), aroundMiB: [growth] };
  } finally {
    for (const id of ids) await setFrozen(id, false);
    await docker.remove(ids);
  }
}

function coresOfEach({ containers }: Inventory): Promise<number[]> {
  return coresOver(WINDOW_MS, [...containers.values()]);
}

function mustBe({ containers }: Inventory, count: number): void {
  if (containers.size !== count) throw new Error(`${containers.size} containers are there, not ${count}`);
}
