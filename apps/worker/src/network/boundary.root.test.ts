// Who may open a connection into a slot, and what a slot may claim to be.

import { compile } from "@sallyport/policy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../test/network/child.ts";
import { forge, ping } from "../../test/network/raw.ts";
import { FAR, GATEWAY_UID, HOST, World } from "../../test/network/world.ts";
import type { SlotNetwork } from "./index.ts";

const SILENCE_MS = 500;

let world: World;
let worker: Child;
let slot: SlotNetwork;
let neighbour: SlotNetwork;
let inSlot: Child;
let far: Child;
let slotPort: number;
let farPort: number;

beforeAll(async () => {
  world = await World.create();
  worker = world.worker();
  await worker.call("start");
  slot = await worker.call<SlotNetwork>("acquireSlot");
  neighbour = await worker.call<SlotNetwork>("acquireSlot");
  inSlot = world.agent(slot.netnsPath);
  far = world.agent(world.farPath);
  slotPort = await inSlot.call<number>("serve");
  farPort = await far.call<number>("serve");
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** Which of the slot's addresses take a TCP connection or answer UDP. */
async function enters(agent: Child): Promise<string[]> {
  const attempts = [slot.ipv4, slot.ipv6].flatMap((address) => [
    agent.call<string>("tcp", address, slotPort, SILENCE_MS).then((got) => (got === "open" ? `tcp ${address}` : "")),
    agent
      .call<string>("udp", address, slotPort, "knock", SILENCE_MS)
      .then((got) => (got === "open" ? `udp ${address}` : "")),
  ]);
  return (await Promise.all(attempts)).filter(Boolean);
}

async function setMode(mode: "open" | "blocked"): Promise<void> {
  await worker.call("applyPolicy", slot.slot, compile(mode, []));
}

describe("into a slot", () => {
  it.each(["blocked", "open"] as const)("only the gateway's user gets (%s)", async (mode) => {
    await setMode(mode);
    const gateway = world.agent(world.routerPath, GATEWAY_UID);
    expect(await enters(gateway)).toHaveLength(4);
    const flow = await gateway.call<number>("hold", slot.ipv4, slotPort);
    expect(await gateway.call("echo", flow, "through", 2000)).toBe(true);
    expect(await enters(world.agent(world.routerPath, GATEWAY_UID + 1))).toEqual([]);
    expect(await enters(world.agent(world.routerPath))).toEqual([]);
    expect(await ping(world.routerPath, slot.ipv4)).toBe("silence");
    expect(await ping(world.routerPath, slot.ipv6)).toBe("silence");
  });

  it("a tighter policy leaves the gateway's connections alone", async () => {
    await setMode("open");
    const gateway = world.agent(world.routerPath, GATEWAY_UID);
    const flow = await gateway.call<number>("hold", slot.ipv6, slotPort);
    await setMode("blocked");
    expect(await gateway.call("echo", flow, "still", 2000)).toBe(true);
  });

  it("neither the host nor a peer of its network gets, routes or not", async () => {
    await setMode("open");
    const host = world.agent(world.hostPath);
    expect(await enters(host)).toEqual([]);
    const uplink = await world.inRouter("ip", "-o", "addr", "show", "uplink");
    const router4 = /inet ([^/]+)/.exec(uplink)?.[1] ?? "";
    const router6 = /inet6 (fd[^/]+)/.exec(uplink)?.[1] ?? "";
    await world.inHost("ip", "route", "add", "100.64.0.0/10", "via", router4);
    await world.inHost("ip", "route", "add", `${slot.ipv6}/128`, "via", router6);
    await world.inFar("ip", "route", "add", "100.64.0.0/10", "via", HOST.ipv4);
    await world.inFar("ip", "route", "add", `${slot.ipv6}/128`, "via", HOST.ipv6);
    expect(await enters(host)).toEqual([]);
    expect(await enters(far)).toEqual([]);
    expect(await ping(world.hostPath, slot.ipv4)).toBe("silence");
    expect(await ping(world.farPath, slot.ipv6)).toBe("silence");
    expect(await host.call("tcp", router4, 1, SILENCE_MS)).toBe("timeout");
  });
});

describe("a forged source", () => {
  beforeAll(async () => {
    // The kernel's own check would drop most of it too: the rules must hold by themselves.
    const links = (await world.inRouter("ls", "/proc/sys/net/ipv4/conf")).trim().split("\n");
    await world.inRouter("sysctl", "-q", "-w", ...links.map((link) => `net.ipv4.conf.${link}.rp_filter=0`));
  });

  const targets = { 4: FAR.listed4, 6: FAR.listed6 } as const;

  const forged: readonly (readonly [whose: string, from: () => string, family: 4 | 6])[] = [
    ["another slot's", () => neighbour.ipv4, 4],
    ["a public", () => FAR.unlisted4, 4],
    ["the router's", () => slot.routerIpv4, 4],
    ["the host's", () => HOST.ipv4, 4],
    ["a loopback", () => "127.0.0.1", 4],
    ["another slot's", () => neighbour.ipv6, 6],
    ["a neighbour's of the same /64", () => slot.ipv6.replace(/2$/, "3"), 6],
    ["a public", () => FAR.unlisted6, 6],
    ["the router's", () => slot.routerIpv6, 6],
  ];

  it.each(forged)("of %s address is dropped (%#)", async (_, from, family) => {
    await setMode("open");
    const to = targets[family];
    const own = family === 4 ? slot.ipv4 : slot.ipv6;
    const id = `${from()} ${family}`;
    await forge(slot.netnsPath, from(), to, farPort, `forged ${id}`);
    // The same program with the true source gets through, after the forged packet had its chance.
    await forge(slot.netnsPath, own, to, farPort, `true ${id}`);
    await expect.poll(() => far.call<string[]>("received"), { timeout: 3000, interval: 20 }).toContain(`true ${id}`);
    expect(await far.call<string[]>("received")).not.toContain(`forged ${id}`);
  });

  it("to the neighbour is dropped as well as the true one", async () => {
    const inNeighbour = world.agent(neighbour.netnsPath);
    const port = await inNeighbour.call<number>("serve");
    await worker.call("applyPolicy", neighbour.slot, compile("open", []));
    await forge(slot.netnsPath, slot.ipv4, neighbour.ipv4, port, "true");
    await forge(slot.netnsPath, neighbour.routerIpv4, neighbour.ipv4, port, "forged");
    expect(await inSlot.call("udp", neighbour.ipv6, port, "true", SILENCE_MS)).not.toBe("open");
    expect(await inNeighbour.call("received")).toEqual([]);
  });
});
