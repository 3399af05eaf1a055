// What neighbours on a link tell each other, told to the router by a slot that lies: addresses of others, routes,
// more names than a table can hold. The tables of neighbours are the whole machine's.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Attacker } from "../../test/network/attacker.ts";
import { addressBytes, hardware, icmp, ipv6, PROTOCOL } from "../../test/network/packets.ts";
import { FAR, GATEWAY_UID, World } from "../../test/network/world.ts";

/** More than the kernel's tables of neighbours hold by default (1,024), for one family of all namespaces. */
const FLOOD = 3000;
const ARP = 0x0806;

let world: World;
let attacker: Attacker;

beforeAll(async () => {
  world = await World.create();
  attacker = await Attacker.start(world);
  await attacker.setPolicy("open");
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** An option of neighbour discovery: 1 is the sender's hardware address, 2 the target's. */
const linkOption = (kind: 1 | 2): Buffer => Buffer.concat([Buffer.from([kind, 1]), hardware(attacker.hardwareAddress)]);

/** As link-local sender, which no rule binds: who has the router's address? */
function solicitation(from: string): Buffer {
  const { routerIpv6 } = attacker.slot;
  const ends = { from, to: routerIpv6 };
  const payload = icmp(ends, 135, 0, 0, Buffer.concat([addressBytes(routerIpv6), linkOption(1)]));
  return ipv6({ ...ends, next: PROTOCOL.icmpv6, payload, hopLimit: 255 });
}

/** To all: this address is mine, whatever you know. */
function claim(address: string, from: string): Buffer {
  const ends = { from, to: "ff02::1" };
  const payload = icmp(ends, 136, 0, 0x20000000, Buffer.concat([addressBytes(address), linkOption(2)]));
  return ipv6({ ...ends, next: PROTOCOL.icmpv6, payload, hopLimit: 255 });
}

function arp(operation: 1 | 2, sender: string, target: string): Buffer {
  const own = hardware(attacker.hardwareAddress);
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  return Buffer.concat([head, own, addressBytes(sender), Buffer.alloc(6), addressBytes(target)]);
}

const routerLink = (): string => `slot${attacker.slot.slot}`;

async function neighbours(family: "-4" | "-6"): Promise<string[]> {
  const lines = (await world.inRouter("ip", family, "neigh", "show", "dev", routerLink())).split("\n");
  return lines.filter((line) => line.trim() !== "" && !line.includes("FAILED"));
}

async function flood(): Promise<void> {
  const numbers = Array.from({ length: FLOOD }, (_, index) => index);
  await attacker.send(numbers.map((n) => solicitation(`fe80::${(n >> 8).toString(16)}:${(n & 255).toString(16)}:1`)));
  await attacker.sendRaw(
    numbers.map((n) => arp(1, `10.${n >> 8}.${n & 255}.9`, attacker.slot.routerIpv4)),
    ARP,
  );
  await attacker.through();
}

async function advertise(): Promise<void> {
  const ends = { from: "fe80::7", to: "ff02::1" };
  const prefix = Buffer.concat([Buffer.from([3, 4, 64, 0xc0]), Buffer.alloc(8, 0xff), Buffer.alloc(4)]);
  const body = Buffer.concat([Buffer.alloc(8), prefix, addressBytes("2001:db8:bad::")]);
  const payload = icmp(ends, 134, 0, 0x400007ff, body);
  await attacker.send([ipv6({ ...ends, next: PROTOCOL.icmpv6, payload, hopLimit: 255 })]);
  await attacker.through();
}

const routes = async (): Promise<string> =>
  (await world.inRouter("ip", "-6", "route", "show", "table", "all")).replaceAll(/ expires \S+/g, "");

/** Whether the gateway gets to the neighbour by an address that the router must ask for. */
async function reachesNeighbour(): Promise<unknown[]> {
  const { neighbour } = attacker;
  const link = `slot${neighbour.slot}`;
  await world.inRouter("ip", "neigh", "flush", "dev", link);
  const port = await world.agent(neighbour.netnsPath).call<number>("serve");
  const gateway = world.agent(world.routerPath, GATEWAY_UID);
  return Promise.all([neighbour.ipv4, neighbour.ipv6].map((to) => gateway.call("tcp", to, port, 3000)));
}

describe("a slot that tells the router", () => {
  it("of thousands of neighbours fills no table", async () => {
    const links = (await world.inRouter("ls", "/proc/sys/net/ipv4/conf")).trim().split("\n");
    await world.inRouter("sysctl", "-q", "-w", ...links.map((link) => `net.ipv4.conf.${link}.rp_filter=1`));
    await flood();
    expect((await neighbours("-6")).length).toBeLessThan(16);
    expect((await neighbours("-4")).length).toBeLessThan(16);
    expect(await reachesNeighbour()).toEqual(["open", "open"]);
  });

  it("that others' addresses are its own is not believed", async () => {
    const { neighbour, slot } = attacker;
    const uplink = await world.inRouter("ip", "route", "show", "default");
    const host = /via (\S+)/.exec(uplink)?.[1] ?? "";
    const all = [neighbour.ipv6, FAR.listed6, slot.routerIpv6];
    await attacker.send(all.flatMap((address) => [claim(address, address), claim(address, slot.ipv6)]));
    const addresses = [neighbour.ipv4, FAR.listed4, host, slot.routerIpv4];
    await attacker.sendRaw(
      addresses.flatMap((address) => [arp(1, address, address), arp(2, address, address)]),
      ARP,
      "ff:ff:ff:ff:ff:ff",
    );
    await attacker.through();
    const known = [...(await neighbours("-4")), ...(await neighbours("-6"))].join("\n");
    for (const address of [...all, ...addresses]) expect(known).not.toContain(`${address} `);
    expect(await reachesNeighbour()).toEqual(["open", "open"]);
  });

  it("of routes moves none", async () => {
    const before = await routes();
    await advertise();
    expect(await routes()).toBe(before);
  });
});

describe("without rules and with a kernel that believes", () => {
  it("the same lies would be taken", async () => {
    await attacker.withoutRules();
    const link = routerLink();
    await world.inRouter("sysctl", "-q", "-w", `net.ipv6.conf.${link}.accept_ra=2`);
    await advertise();
    await expect.poll(routes, { timeout: 5000 }).toContain("via fe80::7");
    const conf = ["all", link].map((name) => `net.ipv4.conf.${name}.rp_filter=0`);
    await world.inRouter("sysctl", "-q", "-w", ...conf, `net.ipv4.conf.${link}.arp_accept=1`);
    await flood();
    expect((await neighbours("-6")).length).toBeGreaterThan(500);
    expect((await neighbours("-4")).length).toBeGreaterThan(500);
  });
});
