// What a slot's programs see of a denial, and what is told about it: with real packets, the kernel's log and its reader.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../../test/network/child.ts";
import { ping } from "../../test/network/raw.ts";
import { FAR, HOST, World } from "../../test/network/world.ts";
import type { DenialDetail } from "./denial-book.ts";
import type { SlotNetwork } from "./index.ts";

/** Long enough for an answer of the router's; a timeout of a connection takes a hundred times as long. */
const ANSWER_MS = 1_000;

let world: World;
let worker: Child;
let slot: SlotNetwork;
let other: SlotNetwork;
let agent: Child;
let far: Child;
let farPort: number;
let before: number;

beforeAll(async () => {
  world = await World.create();
  worker = world.worker({
    limits: { connections: 20, newConnectionsPerSecond: 100, packetsPerSecond: 1_000, bandwidthMbit: 0 },
  });
  await worker.call("start");
  slot = await worker.call<SlotNetwork>("acquireSlot");
  other = await worker.call<SlotNetwork>("acquireSlot");
  agent = world.agent(slot.netnsPath);
  far = world.agent(world.farPath);
  farPort = await far.call<number>("serve");
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

beforeEach(async () => {
  before = (await denials()).length;
});

const denials = (of = slot): Promise<DenialDetail[]> => worker.call("denials", of.slot);
const setPolicy = (policy: unknown, of = slot): Promise<void> => worker.call("setPolicy", of.slot, policy);
const tcp = (host: string, port: number): Promise<string> => agent.call("tcp", host, port, ANSWER_MS);
const udp = (host: string, port: number): Promise<string> => agent.call("udp", host, port, "denied", ANSWER_MS);

/** What was told since the test began, as `protocol destination:port rule`. */
async function told(): Promise<string[]> {
  return (await denials())
    .slice(before)
    .map((detail) =>
      "more" in detail
        ? `${detail.more} more`
        : `${detail.protocol} ${detail.destination} ${detail.port ?? "-"} ${detail.rule}`,
    );
}

/** Packets that were told of since the test began. */
async function packetsTold(of = slot, from = before): Promise<number> {
  const details = (await denials(of)).slice(from);
  return details.reduce((sum, detail) => sum + ("more" in detail ? detail.more : detail.count), 0);
}

async function denied(of = slot): Promise<number> {
  const set = await world.inRouter("nft", "list", "set", "inet", "sallyport", "denials");
  return Number(new RegExp(`"slot${of.slot}" counter packets (\\d+)`).exec(set)?.[1] ?? "0");
}

describe("a denied packet", () => {
  it.each<[policy: unknown, destination: string, rule: string]>([
    ["blocked", FAR.listed4, "blocked"],
    ["blocked", FAR.listed6, "blocked"],
    [{ allow: ["198.51.100.0/25"] }, FAR.unlisted4, "unlisted"],
    [{ allow: ["198.51.100.0/25"] }, FAR.listed6, "unlisted"],
    [{ allow: ["0.0.0.0/0"] }, FAR.private4, "private 10.0.0.0/8"],
    ["open", FAR.private4, "private 10.0.0.0/8"],
    ["open", FAR.private6, "private fc00::/7"],
    ["open", FAR.metadata, "never 169.254.0.0/16"],
    ["open", HOST.ipv4, "never host"],
    ["open", HOST.ipv6, "never host"],
  ])("is refused at once, and told (%j, %s)", async (policy, destination, rule) => {
    await setPolicy(policy);
    expect(await Promise.all([tcp(destination, 443), udp(destination, 53)])).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
    expect(await ping(slot.netnsPath, destination, ANSWER_MS)).toBe("silence");
    await expect
      .poll(told, { timeout: 5000 })
      .toEqual(
        expect.arrayContaining([
          `tcp ${destination} 443 ${rule}`,
          `udp ${destination} 53 ${rule}`,
          `icmp ${destination} - ${rule}`,
        ]),
      );
  });

  it("to another slot or to the router is refused like any other", async () => {
    await setPolicy("open");
    for (const destination of [other.ipv4, other.routerIpv4, slot.routerIpv4]) {
      expect(await tcp(destination, 443)).toBe("ECONNREFUSED");
      await expect.poll(told, { timeout: 5000 }).toContain(`tcp ${destination} 443 never 100.64.0.0/10`);
    }
    expect(await tcp(other.ipv6, 443)).toBe("ECONNREFUSED");
    await expect.poll(told, { timeout: 5000 }).toContain(`tcp ${other.ipv6} 443 never host`);
  });

  it("that asks for a name is told by the policy that gives it no resolver", async () => {
    for (const [policy, rule] of [
      ["blocked", "blocked"],
      [{ allow: ["198.51.100.0/25"] }, "unlisted"],
    ] as const) {
      await setPolicy(policy);
      expect(await udp(slot.routerIpv4, 53)).toBe("ECONNREFUSED");
      await expect.poll(told, { timeout: 5000 }).toContain(`udp ${slot.routerIpv4} 53 ${rule}`);
    }
  });

  it("of an established flow gets a reset, once the policy is tighter", async () => {
    await setPolicy("open");
    const flows = [
      await agent.call<number>("hold", FAR.listed4, farPort),
      await agent.call<number>("hold", FAR.listed6, farPort),
    ];
    for (const flow of flows) expect(await agent.call("echo", flow, "before", 2000)).toBe(true);
    await setPolicy("blocked");
    for (const flow of flows) {
      expect(await agent.call("echo", flow, "after", 200)).toBe(false);
      await expect.poll(() => agent.call("ended", flow), { timeout: 1000 }).toBe("ECONNRESET");
    }
    await expect.poll(told, { timeout: 5000 }).toContain(`tcp ${FAR.listed4} ${farPort} blocked`);
  });

  it("is counted exactly in a flood, of which few are told and few are answered", async () => {
    await setPolicy("blocked");
    const counted = await denied();
    expect(await flood()).toBeLessThan(400);
    const inAll = (await denied()) - counted;
    expect(inAll).toBe(5_000);
    await expect.poll(() => packetsTold(), { timeout: 10_000 }).toBe(inAll);
    expect((await denials()).length - before).toBeLessThan(110);
  });

  it("of one slot keeps nobody else from being told", async () => {
    await setPolicy("blocked");
    await setPolicy("blocked", other);
    const [, outcome] = await Promise.all([
      flood(),
      world.agent(other.netnsPath).call("tcp", FAR.listed4, 443, ANSWER_MS),
    ]);
    expect(outcome).toBe("ECONNREFUSED");
    await expect.poll(() => packetsTold(other, 0), { timeout: 5000 }).toBeGreaterThan(0);
  });
});

/** Thousands of denied datagrams; how many answers the router gave. */
async function flood(): Promise<number> {
  const answers = async (): Promise<number> => {
    const text = await world.inRouter("nstat", "-asz", "IcmpOutDestUnreachs");
    return Number(/IcmpOutDestUnreachs\s+(\d+)/.exec(text)?.[1] ?? "0");
  };
  const already = await answers();
  await agent.call("burst", FAR.listed4, 1_000, 5_000, 1);
  return (await answers()) - already;
}

describe("a limit", () => {
  it("of packets is told", async () => {
    await setPolicy("open");
    await agent.call("burst", FAR.listed4, farPort, 3_000, 0);
    await expect.poll(told, { timeout: 5000 }).toContain(`udp ${FAR.listed4} ${farPort} limit rate`);
  });

  it("of open connections is told, and holds for its slot alone", async () => {
    await setPolicy("open");
    await setPolicy("open", other);
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, () =>
        agent.call("hold", FAR.listed4, farPort).then(
          () => "open",
          () => "refused",
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === "open").length).toBeLessThanOrEqual(20);
    expect(outcomes).toContain("refused");
    await expect.poll(told, { timeout: 5000 }).toContain(`tcp ${FAR.listed4} ${farPort} limit connections`);
    expect(await world.agent(other.netnsPath).call("tcp", FAR.listed4, farPort, 2000)).toBe("open");
  });

  it("of new connections is told", async () => {
    await setPolicy("open", other);
    const [start, wide] = [(await denials(other)).length, world.agent(other.netnsPath)];
    // One at a time, so that few are open: only their number in a second is too high.
    for (let n = 0; n < 300; n += 1) await wide.call("tcp", FAR.listed4, 9, 20);
    const rules = async (): Promise<string[]> =>
      (await denials(other)).slice(start).map((detail) => ("more" in detail ? "more" : detail.rule));
    await expect.poll(rules, { timeout: 5000 }).toContain("limit rate");
  });
});
