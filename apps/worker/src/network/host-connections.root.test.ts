// What slots leave in the machine's own table of connections, with real flows.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../../test/network/child.ts";
import { ping } from "../../test/network/raw.ts";
import { FAR, GATEWAY_UID, helperPath, World } from "../../test/network/world.ts";
import { firstUplinkIndex, platformNames, uplinkAddresses } from "./addresses.ts";
import { IDLE_CONNECTION_S } from "./connection-room.ts";
import { renderHostTable } from "./host-rules.ts";
import type { SlotNetwork } from "./index.ts";

const MANY = 8_000;
const FIRST_PORT = 20_000;
const ANSWER_MS = 5000;
const SILENCE_MS = 500;

let world: World;
let worker: Child;
let first: SlotNetwork;
let second: SlotNetwork;
let inFirst: Child;
let inSecond: Child;
let far: Child;
let port: number;

beforeEach(async () => {
  world = await World.create();
  const uplinkIndex = firstUplinkIndex(world.platformId);
  const limits = {
    connections: 8_192,
    newConnectionsPerSecond: 100_000,
    packetsPerSecond: 200_000,
    bandwidthMbit: 0,
  };
  worker = world.worker({ uplinkIndex, limits });
  await worker.call("start");
  [first, second] = [await worker.call<SlotNetwork>("acquireSlot"), await worker.call<SlotNetwork>("acquireSlot")];
  for (const { slot } of [first, second]) await worker.call("setPolicy", slot, "open");
  [inFirst, inSecond, far] = [first.netnsPath, second.netnsPath, world.farPath].map((path) => world.agent(path)) as [
    Child,
    Child,
    Child,
  ];
  port = await far.call<number>("serve");
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** Lines about the flows of slots, of both families: the machine has none but theirs. */
const onHost = (): Promise<string[]> => entries((...argv) => world.inHost(...argv));
const inRouter = (): Promise<string[]> => entries((...argv) => world.inRouter(...argv));

async function entries(read: (program: string, ...args: string[]) => Promise<string>): Promise<string[]> {
  const texts = await Promise.all(
    ["ipv4", "ipv6"].map((family) => read("conntrack", "-L", "-o", "extended", "-f", family)),
  );
  return texts.flatMap((text) => text.split("\n")).filter((line) => line !== "");
}

/** The worker's conversations with the kernel. */
async function helperPids(): Promise<number[]> {
  const pids = (await readFile(`/proc/${worker.pid}/task/${worker.pid}/children`, "utf8")).split(" ").filter(Boolean);
  // What ends in between is none.
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return pids.filter((_, at) => commands[at]?.startsWith(`${helperPath()}\0`)).map(Number);
}

describe("a released slot", () => {
  it("leaves nothing in the tables of machine and router, and what is others' goes on", async () => {
    const held = await Promise.all([
      inSecond.call<number>("hold", FAR.listed4, port),
      inSecond.call<number>("hold", FAR.listed6, port),
    ]);
    const ofSecond = await onHost();
    expect(ofSecond).toHaveLength(2);
    for (const address of [FAR.listed4, FAR.listed6]) {
      await inFirst.call("hold", address, port);
      expect(await inFirst.call("udp", address, port, "one", ANSWER_MS)).toBe("open");
      expect(await ping(first.netnsPath, address, ANSWER_MS)).toBe("reply");
    }
    // The gateway's, which never come to the machine.
    const inside = await inFirst.call<number>("serve");
    const gateway = world.agent(world.routerPath, GATEWAY_UID);
    await gateway.call("hold", first.ipv4, inside);
    await gateway.call("hold", first.ipv6, inside);
    expect(await onHost()).toHaveLength(8);
    expect(await inRouter()).toHaveLength(10);

    await worker.call("releaseSlot", first.slot);
    const ports = (lines: readonly string[]): string[] => lines.map((line) => /sport=\d+/.exec(line)?.[0] ?? "").sort();
    expect(ports(await onHost())).toEqual(ports(ofSecond));
    expect(ports(await inRouter())).toEqual(ports(ofSecond));
    for (const flow of held) expect(await inSecond.call("echo", flow, "still", ANSWER_MS)).toBe(true);
    expect(await worker.call("events")).toEqual([]);
  });

  it("leaves nothing where it had as many as it may", async () => {
    const held = await inSecond.call<number>("hold", FAR.listed4, port);
    await inFirst.call("burst", FAR.listed4, FIRST_PORT, MANY, 1);
    expect((await onHost()).length).toBeGreaterThanOrEqual(MANY);
    await worker.call("releaseSlot", first.slot);
    expect(await onHost()).toHaveLength(1);
    expect(await inRouter()).toHaveLength(1);
    expect(await inSecond.call("echo", held, "still", ANSWER_MS)).toBe(true);
  });

  it("goes though nobody answers about its connections", async () => {
    const third = await worker.call<SlotNetwork>("acquireSlot");
    await inFirst.call("hold", FAR.listed4, port);
    await inSecond.call("hold", FAR.listed4, port);
    const before = await helperPids();
    await worker.call("releaseSlot", first.slot);
    // The first that had connections: what takes them out is there since.
    const helpers = (await helperPids()).filter((pid) => !before.includes(pid));
    expect(helpers).toHaveLength(2);
    for (const pid of helpers) process.kill(pid, "SIGSTOP");
    const released = worker.call("releaseSlot", second.slot);
    await expect.poll(() => world.inRouter("ip", "-o", "link")).not.toContain(`slot${second.slot}@`);
    for (const pid of helpers) process.kill(pid, "SIGKILL");
    await released;
    expect(await worker.call("boundSlots")).toEqual([third.slot]);
    expect(await worker.call("events")).toEqual(["connections of a released slot could not be taken out"]);
    expect(await onHost()).toHaveLength(1);
  });
});

describe("the machine's table", () => {
  it("forgets idle connections of slots when the router does", async () => {
    for (const address of [FAR.listed4, FAR.listed6]) await inFirst.call("hold", address, port);
    const lines = await onHost();
    const left = lines.map((line) => Number(/tcp +6 (\d+) ESTABLISHED/.exec(line)?.[1]));
    expect(left).toHaveLength(2);
    for (const seconds of left) expect(seconds).toBeLessThanOrEqual(IDLE_CONNECTION_S);
  });

  it("takes so many of all slots together, and spares those that are open", async () => {
    const most = 20;
    const names = platformNames(world.platformId);
    const uplink = uplinkAddresses(world.platformId, firstUplinkIndex(world.platformId));
    const table = join(world.directory, "table");
    await writeFile(table, renderHostTable({ names, uplink, closed: { ipv4: [], ipv6: [] }, connections: most }));
    await world.inHost("nft", "-f", table);

    const held = await inFirst.call<number>("hold", FAR.listed4, port);
    await inFirst.call("burst", FAR.listed4, FIRST_PORT, 3 * most, 1);
    expect(await onHost()).toHaveLength(most);
    expect(await inSecond.call("tcp", FAR.listed4, port, SILENCE_MS)).not.toBe("open");
    expect(await inFirst.call("echo", held, "still", ANSWER_MS)).toBe(true);
    await worker.call("releaseSlot", first.slot);
    expect(await inSecond.call("tcp", FAR.listed4, port, ANSWER_MS)).toBe("open");
  });
});
