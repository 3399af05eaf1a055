// What a slot's cable is like: who is at its ends, and how much goes through it.

import { afterEach, describe, expect, it } from "vitest";
import type { Child } from "../../test/network/child.ts";
import { FAR, World } from "../../test/network/world.ts";
import type { SlotNetwork } from "./index.ts";

let world: World | undefined;

afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
});

interface Opened {
  readonly world: World;
  readonly worker: Child;
  readonly slot: SlotNetwork;
  /** Runs a program in the slot's namespace. */
  readonly inSlot: (...argv: string[]) => Promise<string>;
}

async function opened(bandwidthMbit: number): Promise<Opened> {
  const made = await World.create();
  world = made;
  const limits = { connections: 1_000, newConnectionsPerSecond: 1_000, packetsPerSecond: 1_000_000, bandwidthMbit };
  const worker = made.worker({ limits });
  await worker.call("start");
  const slot = await worker.call<SlotNetwork>("acquireSlot");
  await worker.call("setPolicy", slot.slot, "open");
  // By way of the router, which is where tests have a program for it.
  const inSlot = (...argv: string[]): Promise<string> => made.inRouter("nsenter", `--net=${slot.netnsPath}`, ...argv);
  return { world: made, worker, slot, inSlot };
}

describe("the ends of a cable", () => {
  it("know each other for good, and ask nobody", async () => {
    const { inSlot, slot, worker, ...rest } = await opened(0);
    const link = `slot${slot.slot}`;
    const lines = async (text: Promise<string>): Promise<string[]> =>
      (await text)
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "" && !line.startsWith("fe80"));
    const ofRouter = await lines(rest.world.inRouter("ip", "neigh", "show", "dev", link));
    expect(ofRouter.map((line) => [line.split(" ")[0], line.endsWith("PERMANENT")])).toEqual(
      expect.arrayContaining([
        [slot.ipv4, true],
        [slot.ipv6, true],
      ]),
    );
    await inSlot("ip", "addr", "flush", "dev", "eth0");
    await worker.call("readdress", slot.slot);
    const ofSlot = await lines(inSlot("ip", "neigh", "show", "dev", "eth0"));
    expect(ofSlot.map((line) => [line.split(" ")[0], line.endsWith("PERMANENT")])).toEqual(
      expect.arrayContaining([
        [slot.routerIpv4, true],
        [slot.routerIpv6, true],
      ]),
    );
    const port = await rest.world.agent(rest.world.farPath).call<number>("serve");
    const agent = rest.world.agent(slot.netnsPath);
    for (const address of [FAR.listed4, FAR.listed6]) expect(await agent.call("tcp", address, port, 2000)).toBe("open");
  });
});

describe("a bound on bandwidth", () => {
  const DATAGRAMS = 3_000;

  /** Datagrams of 1,400 bytes, as fast as they go. */
  const FLOOD = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE: it does not wait for its own
for n in range(${DATAGRAMS}):
    try: s.sendto(b"x" * 1400, ("${FAR.listed4}", 9))
    except OSError: pass
`;

  async function counted(of: World): Promise<number> {
    const rules = await of.inFar("nft", "list", "table", "inet", "count");
    return Number(/counter packets (\d+)/.exec(rules)?.[1] ?? "0");
  }

  it("holds at both ends of the cable", async () => {
    const { world: of, slot, inSlot } = await opened(20);
    await of.inFar(
      "nft",
      "table inet count { chain in { type filter hook input priority 0; udp dport 9 counter drop; }; }",
    );
    const ends = [
      await of.inRouter("tc", "qdisc", "show", "dev", `slot${slot.slot}`),
      await inSlot("tc", "qdisc", "show", "dev", "eth0"),
    ];
    for (const end of ends) expect(end).toMatch(/qdisc tbf .* rate 20Mbit/);
    await inSlot("python3", "-c", FLOOD);
    const dropped = Number(/dropped (\d+)/.exec(await inSlot("tc", "-s", "qdisc", "show", "dev", "eth0"))?.[1]);
    expect(dropped).toBeGreaterThan(DATAGRAMS / 4);
    await expect.poll(() => counted(of)).toBe(DATAGRAMS - dropped);
    const port = await of.agent(of.farPath).call<number>("serve");
    expect(await of.agent(slot.netnsPath).call("tcp", FAR.listed4, port, 2000)).toBe("open");
  });

  it("is none unless it is set", async () => {
    const { world: of, slot, inSlot } = await opened(0);
    expect(await of.inRouter("tc", "qdisc", "show", "dev", `slot${slot.slot}`)).not.toContain("tbf");
    expect(await inSlot("tc", "qdisc", "show", "dev", "eth0")).not.toContain("tbf");
  });
});
