// What sandboxes cost that do nothing: CPU and memory of each, awake and asleep, and what the platform around them grows.
import { Sandbox } from "@sallyport/sdk";
import { terminateAll } from "./burst.ts";
import type { DockerPeer } from "./docker-peer.ts";
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
  const grow = async (count: number) => {
    while (sandboxes.length < count) sandboxes.push(await Sandbox.create({ client, signal }));
    await pause(SETTLE_MS, signal);
  };
  try {
    const before = memoryMiB((await inventoryOf(platform)).around);
    say(`idle: ${AWAKE_COUNT} sandboxes for ${WINDOW_MS / 1_000} s`);
    await grow(AWAKE_COUNT);
    const awakeCores = await coresOfEach(await inventoryOf(platform));
    say(`idle: memory of ${COUNT} sandboxes, then ${WINDOW_MS / 1_000} s asleep`);
    await grow(COUNT);
    const inventory = await inventoryOf(platform);
    mustBe(inventory, COUNT);
    const growth = (memoryMiB(inventory.around) - before) / COUNT;
    const memory = memoryOfEach(inventory);
    for (const sandbox of sandboxes) await sandbox.sleep({ signal });
    const asleepCores = await coresOfEach(inventory);
    return { awakeCores, asleepCores, memoryMiB: memory, aroundMiB: [growth] };
  } finally {
    await terminateAll(sandboxes);
  }
}

async function dockerCost(docker: DockerPeer, say: (line: string) => void, signal: AbortSignal): Promise<Cost> {
  const ids: string[] = [];
  const grow = async (count: number) => {
    while (ids.length < count) {
      signal.throwIfAborted();
      ids.push(await docker.start());
    }
    await pause(SETTLE_MS, signal);
  };
  try {
    const before = memoryMiB(inventoryOfDocker(docker.engine, ids).around);
    say(`idle: ${AWAKE_COUNT} containers for ${WINDOW_MS / 1_000} s`);
    await grow(AWAKE_COUNT);
    const awakeCores = await coresOfEach(inventoryOfDocker(docker.engine, ids));
    say(`idle: memory of ${COUNT} containers`);
    await grow(COUNT);
    const inventory = inventoryOfDocker(docker.engine, ids);
    mustBe(inventory, COUNT);
    const growth = (memoryMiB(inventory.around) - before) / COUNT;
    return { awakeCores, asleepCores: [], memoryMiB: memoryOfEach(inventory), aroundMiB: [growth] };
  } finally {
    await docker.remove(ids);
  }
}

function coresOfEach({ containers }: Inventory): Promise<number[]> {
  return coresOver(WINDOW_MS, [...containers.values()]);
}

function mustBe({ containers }: Inventory, count: number): void {
  if (containers.size !== count) throw new Error(`${containers.size} containers are there, not ${count}`);
}
