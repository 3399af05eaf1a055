// How many sandboxes one machine carries that are asleep: their CPU and memory, and how soon one answers that is woken.
import { OpenError } from "@sallyport/dataplane";
import { Sandbox } from "@sallyport/sdk";
import { terminateAll } from "./burst.ts";
import { ECHO_SERVER, echo, instancesOf } from "./door.ts";
import { inventoryOf, memoryOfEach } from "./inventory.ts";
import { coresOver, memoryMiB } from "./processes.ts";
import type { Run, Side } from "./room.ts";
import { COLD, pause, startSide } from "./room.ts";
import type { Result } from "./stats.ts";
import { alone, compare, timed } from "./stats.ts";

const COUNT = 400;
/** As many of them run a server; the rest have no command. */
const SERVERS = 120;
const WAKES = 100;
const MEMORY_MIB = 128;
const SLEEP_AFTER_MS = 1_000;
/** Creates under way at once. */
const WIDTH = 4;
const SETTLE_MS = 10_000;
const WINDOW_MS = 30_000;
/** For all but the clean-up. */
const BOUND_MS = 15 * 60_000;

/** Sandboxes of the two kinds. */
interface Population {
  readonly servers: Sandbox[];
  readonly idlers: Sandbox[];
}

export async function benchDensity(unbounded: Run): Promise<Result[]> {
  const signal = AbortSignal.any([unbounded.signal, AbortSignal.timeout(BOUND_MS)]);
  const run = { ...unbounded, signal };
  const { say } = run;
  say("starting a platform");
  await using side = await startSide(COLD);
  await pause(SETTLE_MS, signal);
  say(`the platform alone, for ${WINDOW_MS / 1_000} s`);
  const empty = await inventoryOf(side.platform);
  const emptyMiB = memoryMiB(empty.around);
  const [emptyCores = 0] = await coresOver(WINDOW_MS, [empty.around]);
  const population: Population = { servers: [], idlers: [] };
  try {
    await populate(side, population, run);
    return [
      ...(await measureAsleep(side, { emptyMiB, emptyCores }, run)),
      ...(await measureWakes(side, population, run)),
    ];
  } finally {
    say("ending all sandboxes");
    await terminateAll([...population.servers, ...population.idlers]);
  }
}

async function populate({ client, platform }: Side, population: Population, { say, signal }: Run): Promise<void> {
  let asked = 0;
  const startedAt = performance.now();
  const options = { client, memoryMiB: MEMORY_MIB, cpu: 1, sleepAfterMs: SLEEP_AFTER_MS, signal };
  const work = async () => {
    while (asked < COUNT) {
      asked += 1;
      if (asked % 50 === 0) say(`${asked} of ${COUNT} sandboxes, ${secondsSince(startedAt)} s`);
      // Those with a server are spread among the others.
      const isServer = Math.floor((asked * SERVERS) / COUNT) > Math.floor(((asked - 1) * SERVERS) / COUNT);
      if (isServer) population.servers.push(await Sandbox.create(ECHO_SERVER, options));
      else population.idlers.push(await Sandbox.create(options));
    }
  };
  const works = Array.from({ length: WIDTH }, () =>
    work().finally(() => {
      asked = COUNT; // one that fails stops the others
    }),
  );
  for (const outcome of await Promise.allSettled(works)) if (outcome.status === "rejected") throw outcome.reason;
  say("waiting until every server has answered, and every sandbox is asleep");
  const instances = await instancesOf(platform);
  for (const sandbox of population.servers) await untilAnswered(() => echo(platform, instances, sandbox), signal);
  const ids = new Set([...population.servers, ...population.idlers].map(({ id }) => id));
  while ((await countAsleep(client, ids)) < COUNT) await pause(1_000, signal);
}

async function measureAsleep(
  { platform }: Side,
  empty: { readonly emptyMiB: number; readonly emptyCores: number },
  { say, signal }: Run,
): Promise<Result[]> {
  await pause(SETTLE_MS, signal);
  const inventory = await inventoryOf(platform);
  if (inventory.containers.size !== COUNT) throw new Error(`${inventory.containers.size} containers are there`);
  say(`all asleep, for ${WINDOW_MS / 1_000} s`);
  const inside = [...inventory.containers.values()].flat();
  const [sandboxCores = 0, aroundCores = 0] = await coresOver(WINDOW_MS, [inside, inventory.around]);
  const growthCores = aroundCores - empty.emptyCores;
  const growthMiB = (memoryMiB(inventory.around) - empty.emptyMiB) / COUNT;
  const because = `${COUNT} sandboxes asleep`;
  const cores = { unit: "cores", because } as const;
  return [
    alone({ ...cores, name: "density/cpu", ours: [sandboxCores + growthCores], target: 0.1 }),
    alone({ ...cores, name: "density/cpu-sandboxes", ours: [sandboxCores] }),
    alone({
      ...cores,
      name: "density/cpu-around",
      ours: [growthCores],
      because: "the platform with them less the platform alone",
    }),
    alone({ ...cores, name: "density/cpu-platform", ours: [empty.emptyCores], because: "the platform alone" }),
    alone({ name: "density/memory", unit: "MiB", ours: memoryOfEach(inventory), because }),
    alone({ name: "density/memory-around", unit: "MiB", ours: [growthMiB], because: "the platform's growth for each" }),
  ];
}

async function measureWakes(
  { client, platform }: Side,
  population: Population,
  { say, signal }: Run,
): Promise<Result[]> {
  const instances = await instancesOf(platform);
  const samples = { connection: [] as number[], exec: [] as number[], awake: [] as number[] };
  for (let round = 0; round < WAKES; round += 1) {
    if (round % 25 === 0) say(`wakes: ${round} of ${WAKES}`);
    const server = await takeAsleep(client, population.servers, signal);
    samples.connection.push(await timed(() => echo(platform, instances, server)));
    const idler = await takeAsleep(client, population.idlers, signal);
    const exec = () => idler.run(["true"], { check: true, signal });
    samples.exec.push(await timed(exec));
    samples.awake.push(await timed(exec));
  }
  const answers = {
    unit: "ms",
    ours: samples.connection,
    because: "a connection to a sandbox that slept, to its answer",
  } as const;
  return [
    alone({ ...answers, name: "density/wake-p50", target: 50 }),
    alone({ ...answers, name: "density/wake-p99", share: 0.99, target: 50 }),
    compare({
      name: "density/wake-exec",
      unit: "ms",
      ours: samples.exec,
      peerName: "the same exec in the same sandbox, awake",
      peer: samples.awake,
    }),
    alone({
      name: "density/wake-exec-p99",
      unit: "ms",
      ours: samples.exec,
      share: 0.99,
      because: "exec of true in one that slept",
    }),
  ];
}

/** A random one of those that sleep now. */
async function takeAsleep(
  client: Side["client"],
  sandboxes: readonly Sandbox[],
  signal: AbortSignal,
): Promise<Sandbox> {
  for (;;) {
    signal.throwIfAborted();
    const sandbox = sandboxes[Math.floor(Math.random() * sandboxes.length)];
    if (sandbox === undefined) throw new Error("no sandboxes");
    if ((await Sandbox.fromId(sandbox.id, { client, signal })).info.asleep) return sandbox;
  }
}

async function countAsleep(client: Side["client"], ids: ReadonlySet<string>): Promise<number> {
  let count = 0;
  for await (const { id, info } of Sandbox.list({ client })) if (info.asleep && ids.has(id)) count += 1;
  return count;
}

/** A server takes a moment to listen. */
async function untilAnswered(ask: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof OpenError)) throw error;
    }
    await pause(100, signal);
  }
}

function secondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 1_000);
}
