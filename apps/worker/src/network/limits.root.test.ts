// What counts as a connection of a slot's, with real packets.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FAR, World } from "../../test/network/world.ts";
import { run } from "../system/command.ts";
import type { SlotNetwork } from "./index.ts";

const CONNECTIONS = 20;
const OPENINGS = 100;
/** Nobody listens there. */
const PORT = 9;

let world: World;
let slot: SlotNetwork;

beforeAll(async () => {
  world = await World.create();
  const worker = world.worker({
    limits: {
      connections: CONNECTIONS,
      newConnectionsPerSecond: OPENINGS,
      packetsPerSecond: 100_000,
      bandwidthMbit: 0,
    },
  });
  await worker.call("start");
  slot = await worker.call<SlotNetwork>("acquireSlot");
  await worker.call("setPolicy", slot.slot, "open");
  await world.inFar("nft", "add", "table", "inet", "silent");
  await world.inFar("nft", "add", "chain", "inet", "silent", "in", "{ type filter hook input priority 0; }");
  await world.inFar("nft", "add", "rule", "inet", "silent", "in", "meta", "l4proto", "udp", "counter", "drop");
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** From one port of the slot's, so many datagrams to each of some ports. */
const SEND = `
const socket = require("node:dgram").createSocket("udp4");
const [host, ports, each] = JSON.parse(process.argv[1]);
socket.bind(40000, async () => {
  for (const port of ports)
    for (let n = 0; n < each; n += 1) await new Promise((sent) => socket.send("x", port, host, () => sent()));
  socket.close();
});`;

async function send(ports: readonly number[], each: number): Promise<void> {
  const program = [process.execPath, "-e", SEND, JSON.stringify([FAR.listed4, ports, each])];
  await run(["nsenter", `--net=${slot.netnsPath}`, ...program]);
}

/** Datagrams that came out beyond the host. */
async function arrived(): Promise<number> {
  const rules = await world.inFar("nft", "list", "table", "inet", "silent");
  return Number(/counter packets (\d+)/.exec(rules)?.[1] ?? "0");
}

describe("a flow that nobody answers", () => {
  it("is one connection, however much it sends", async () => {
    await send([PORT], 5 * OPENINGS);
    await expect.poll(arrived).toBe(5 * OPENINGS);
  });

  it("goes on where the slot may open no more", async () => {
    const before = await arrived();
    const others = Array.from({ length: 2 * CONNECTIONS }, (_, at) => PORT + 1 + at);
    await send(others, 1);
    // The bound is what may be open before one more is refused.
    await expect.poll(arrived).toBe(before + CONNECTIONS - 1);
    await send([PORT], 3 * CONNECTIONS);
    await expect.poll(arrived).toBe(before + CONNECTIONS - 1 + 3 * CONNECTIONS);
  });
});
