// What a slot can reach under each policy, with real packets of both families against a small internet of namespaces.

import { compile, type NetworkPolicy } from "@sallyport/policy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../test/network/child.ts";
import { ping } from "../../test/network/raw.ts";
import { FAR, GATEWAY_UID, HOST, World } from "../../test/network/world.ts";
import type { SlotNetwork } from "./index.ts";

const SILENCE_MS = 500;

let world: World;
let worker: Child;
let first: SlotNetwork;
let second: SlotNetwork;
let inFirst: Child;
let inSecond: Child;
let far: Child;
let listeners: Child[];
let probes = 0;
let ports: { far: number; host: number; second: number; router: number };

beforeAll(async () => {
  world = await World.create();
  worker = world.worker();
  await worker.call("start");
  first = await worker.call<SlotNetwork>("acquireSlot");
  second = await worker.call<SlotNetwork>("acquireSlot");
  inFirst = world.agent(first.netnsPath);
  inSecond = world.agent(second.netnsPath);
  far = world.agent(world.farPath);
  const host = world.agent(world.hostPath);
  const router = world.agent(world.routerPath, GATEWAY_UID);
  listeners = [far, host, inSecond, router];
  const serve = (agent: Child): Promise<number> => agent.call<number>("serve");
  const [farPort, hostPort, secondPort, routerPort] = await Promise.all(listeners.map(serve));
  ports = { far: farPort ?? 0, host: hostPort ?? 0, second: secondPort ?? 0, router: routerPort ?? 0 };
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

async function setPolicy(policy: NetworkPolicy, grants: readonly string[] = [], slot = first.slot): Promise<void> {
  await worker.call("applyPolicy", slot, compile(policy, grants));
}

/** Which of TCP, UDP and ICMP get an answer; `lost` where a datagram arrived somewhere and its answer did not. */
async function reach(address: string, port = ports.far, timeoutMs = SILENCE_MS): Promise<string[]> {
  probes += 1;
  const text = `probe ${probes};`;
  const [tcp, udp, icmp] = await Promise.all([
    inFirst.call<string>("tcp", address, port, timeoutMs),
    inFirst.call<string>("udp", address, port, text, timeoutMs),
    ping(first.netnsPath, address, timeoutMs),
  ]);
  const arrived = (await Promise.all(listeners.map((agent) => agent.call<string[]>("received")))).flat().includes(text);
  return [
    tcp === "open" ? "tcp" : "",
    udp === "open" ? "udp" : "",
    icmp === "reply" ? "icmp" : "",
    arrived && udp !== "open" ? "lost" : "",
  ].filter(Boolean);
}

const ALL = ["tcp", "udp", "icmp"];

async function expectReach(expected: Readonly<Record<string, readonly string[]>>): Promise<void> {
  // Where an answer must come it may take its time; where none may, the wait is what the test costs.
  const found = await Promise.all(
    Object.entries(expected).map(async ([address, answers]) => {
      const timeoutMs = answers.length > 0 ? 5000 : SILENCE_MS;
      return [address, await reach(address, ports.far, timeoutMs)] as const;
    }),
  );
  expect(Object.fromEntries(found)).toEqual(expected);
}

/** Own, private, platform and metadata addresses: nothing answers there, whatever listens. */
async function expectNeverReached(): Promise<void> {
  const targets: [string, number][] = [
    ...Object.values(HOST).map((address): [string, number] => [address, ports.host]),
    ["198.51.100.255", ports.host],
    [FAR.metadata, ports.far],
    [second.ipv4, ports.second],
    [second.ipv6, ports.second],
    [second.routerIpv4, ports.router],
    [second.routerIpv6, ports.router],
    [first.routerIpv4, ports.router],
    [first.routerIpv6, ports.router],
    ...(await uplinkAddresses()).map((address): [string, number] => [address, ports.host]),
  ];
  const found = await Promise.all(
    targets.map(async ([address, port]) => [address, await reach(address, port)] as const),
  );
  expect(found.filter(([, answers]) => answers.length > 0)).toEqual([]);
}

async function uplinkAddresses(): Promise<string[]> {
  const outputs = [await world.inHost("ip", "-o", "addr"), await world.inRouter("ip", "-o", "addr", "show", "uplink")];
  const lines = outputs
    .join("\n")
    .split("\n")
    .filter((line) => /spu|uplink/.test(line) && !line.includes(" fe80:"));
  return lines.map((line) => /inet6? ([^/]+)/.exec(line)?.[1] ?? "");
}

describe("a fresh slot and a blocked one", () => {
  it("reach nothing", async () => {
    await expectReach({ [FAR.listed4]: [], [FAR.listed6]: [] });
    await setPolicy("blocked");
    await expectReach({ [FAR.listed4]: [], [FAR.listed6]: [], [FAR.private4]: [], [FAR.private6]: [] });
    await expectNeverReached();
  });
});

describe("open", () => {
  it("reaches public addresses of both families, and nothing else", async () => {
    await setPolicy("open");
    await expectReach({
      [FAR.listed4]: ALL,
      [FAR.unlisted4]: ALL,
      [FAR.listed6]: ALL,
      [FAR.unlisted6]: ALL,
      [FAR.private4]: [],
      [FAR.private6]: [],
    });
    await expectNeverReached();
  });

  it("keeps private networks out even where they are granted", async () => {
    await setPolicy("open", ["10.77.0.0/24", "fd77::/64"]);
    await expectReach({ [FAR.private4]: [], [FAR.private6]: [] });
  });
});

describe("an allow list", () => {
  it("reaches exactly its CIDRs", async () => {
    await setPolicy({ allow: ["198.51.100.0/25", "2001:db8::/121"] });
    await expectReach({
      [FAR.listed4]: ALL,
      [FAR.unlisted4]: [],
      [FAR.listed6]: ALL,
      [FAR.unlisted6]: [],
      [FAR.private4]: [],
      [FAR.private6]: [],
    });
    await expectNeverReached();
  });

  it("reaches nothing where it is empty", async () => {
    await setPolicy({ allow: [] });
    await expectReach({ [FAR.listed4]: [], [FAR.listed6]: [] });
  });

  it("of everything reaches no private and no reserved address", async () => {
    await setPolicy({ allow: ["0.0.0.0/0", "::/0"] }, ["10.77.0.0/24", "fd77::/64"]);
    await expectReach({ [FAR.unlisted4]: ALL, [FAR.unlisted6]: ALL, [FAR.private4]: [], [FAR.private6]: [] });
    await expectNeverReached();
  });

  it("reaches what is granted, and only with the entry", async () => {
    await setPolicy({ allow: ["10.77.0.0/24", "fd77::/64"] }, ["10.0.0.0/8", "fd77::/48"]);
    await expectReach({ [FAR.private4]: ALL, [FAR.private6]: ALL, [FAR.listed4]: [], [FAR.listed6]: [] });
    await expectNeverReached();
  });

  it("does not reach other platforms' and own slots through a grant of all unique local addresses", async () => {
    await setPolicy({ allow: ["fc00::/7"] }, ["fc00::/7"]);
    await expectReach({ [FAR.private6]: ALL });
    await expectNeverReached();
  });

  it("belongs to one slot", async () => {
    await setPolicy({ allow: ["198.51.100.0/25"] });
    await setPolicy("blocked", [], second.slot);
    await expectReach({ [FAR.listed4]: ALL });
    expect(await inSecond.call("tcp", FAR.listed4, ports.far, SILENCE_MS)).not.toBe("open");
  });
});

describe("a change of policy", () => {
  it.each([
    ["IPv4", FAR.listed4],
    ["IPv6", FAR.listed6],
  ])("cuts established flows where it tightens (%s), in both directions, and spares the others", async (_, address) => {
    await setPolicy("open");
    const flow = await inFirst.call<number>("hold", address, ports.far);
    expect(await inFirst.call("echo", flow, "one", 2000)).toBe(true);
    await setPolicy({ allow: ["198.51.100.0/25", "2001:db8::/121"] });
    expect(await inFirst.call("echo", flow, "two", 2000)).toBe(true);
    const heard = inFirst.call("heard", flow, "pushed", 2000);
    expect(await far.call<number>("push", "pushed")).toBeGreaterThan(0);
    expect(await heard).toBe(true);
    await setPolicy({ allow: ["198.51.100.128/25"] });
    const unheard = inFirst.call("heard", flow, "pushed again", SILENCE_MS);
    await far.call("push", "pushed again");
    expect(await unheard).toBe(false);
    expect(await inFirst.call("echo", flow, "three", SILENCE_MS)).toBe(false);
  });

  it("stops what comes back as well as what goes out", async () => {
    await setPolicy("open");
    const before = (await far.call<string[]>("received")).length;
    expect(await inFirst.call("udp", FAR.listed4, ports.far, "through", 2000)).toBe("open");
    await setPolicy("blocked");
    expect(await inFirst.call("udp", FAR.listed4, ports.far, "stopped", SILENCE_MS)).not.toBe("open");
    expect((await far.call<string[]>("received")).slice(before)).toEqual(["through"]);
  });

  it("takes the connections that it denies out of both tables, and no others", async () => {
    const ports = async (read: (program: string, ...args: string[]) => Promise<string>): Promise<string[]> => {
      const texts = await Promise.all(["ipv4", "ipv6"].map((family) => read("conntrack", "-L", "-f", family)));
      const lines = texts.flatMap((text) => text.split("\n")).filter((line) => line.includes(`dport=${served} `));
      return lines.map((line) => / dst=(\S+)/.exec(line)?.[1] ?? "").sort();
    };
    const served = await far.call<number>("serve");
    await setPolicy("open");
    const all = [FAR.listed4, FAR.unlisted4, FAR.listed6, FAR.unlisted6];
    for (const address of all) {
      await inFirst.call("hold", address, served);
      expect(await inFirst.call("udp", address, served, "once", 2000)).toBe("open");
    }
    const inside = await inFirst.call<number>("serve");
    const gateway = world.agent(world.routerPath, GATEWAY_UID);
    const session = await gateway.call<number>("hold", first.ipv4, inside);
    const twice = (addresses: readonly string[]): string[] => addresses.flatMap((one) => [one, one]).sort();
    expect(await ports(world.inHost.bind(world))).toEqual(twice(all));
    await setPolicy({ allow: ["198.51.100.0/25", { cidr: "2001:db8::/121", protocol: "tcp", ports: [served] }] });
    const kept = [FAR.listed4, FAR.listed4, FAR.listed6].sort();
    await expect.poll(() => ports(world.inRouter.bind(world)), { timeout: 5000 }).toEqual(kept);
    await expect.poll(() => ports(world.inHost.bind(world)), { timeout: 5000 }).toEqual(kept);
    await setPolicy("blocked");
    await expect.poll(() => ports(world.inRouter.bind(world)), { timeout: 5000 }).toEqual([]);
    expect(await gateway.call("echo", session, "still", 2000)).toBe(true);
  });

  it("that the kernel refuses leaves the old one", async () => {
    await setPolicy({ allow: ["198.51.100.0/25"] });
    // Port rules that overlap: each is in order, but the kernel's set refuses them.
    const rules = compile({ allow: [{ cidr: "198.51.100.0/24", protocol: "tcp", ports: [[1, 100]] }] }, []);
    const overlapping = {
      ...rules,
      portRules: rules.portRules.flatMap((rule) => [rule, { ...rule, fromPort: 50, first: "198.51.100.7" }]),
    };
    await expect(worker.call("applyPolicy", first.slot, overlapping)).rejects.toMatchObject({
      code: "RulesNotApplied",
    });
    await expectReach({ [FAR.listed4]: ALL, [FAR.unlisted4]: [], [FAR.listed6]: [] });
    await setPolicy({ allow: ["2001:db8::/121"] });
    await expectReach({ [FAR.listed4]: [], [FAR.listed6]: ALL });
  });

  it("is refused where it is no rule data", async () => {
    for (const allow4 of [
      ["2001:db8::/32"],
      ["198.51.100.1/24"],
      ["198.51.100.0/24 }; flush ruleset"],
      "198.51.100.0/24",
    ]) {
      const rules = { ...compile({ allow: [] }, []), allow4 };
      await expect(worker.call("applyPolicy", first.slot, rules)).rejects.toMatchObject({ code: "InvalidRules" });
    }
    const unknown = { ...compile("open", []), mode: "ajar" };
    await expect(worker.call("applyPolicy", first.slot, unknown)).rejects.toMatchObject({ code: "InvalidRules" });
  });
});

describe("the host's addresses", () => {
  it("join the never set as they appear, and leave it", async () => {
    await setPolicy("open");
    const address = "198.51.100.77";
    await world.inFar("ip", "addr", "add", `${address}/24`, "dev", "ext0");
    await expect.poll(() => reach(address), { timeout: 10_000 }).toContain("icmp");
    await world.inFar("ip", "addr", "del", `${address}/24`, "dev", "ext0");
    await world.inHost("ip", "addr", "add", `${address}/32`, "dev", "lo");
    const inNever = async (): Promise<boolean> =>
      (await world.inRouter("nft", "list", "set", "inet", "sallyport", "never4")).includes(address);
    await expect.poll(inNever, { timeout: 5000, interval: 20 }).toBe(true);
    expect(await reach(address, ports.host)).toEqual([]);
    await world.inHost("ip", "addr", "del", `${address}/32`, "dev", "lo");
    await expect.poll(inNever, { timeout: 5000, interval: 20 }).toBe(false);
  });

  it("of the fleet's other machines are never reached, known again after a restart, and followed", async () => {
    await setPolicy("open");
    await expectReach({ [FAR.listed4]: ALL, [FAR.listed6]: ALL, [FAR.unlisted4]: ALL });
    await worker.call("setFleet", [`${FAR.listed4}/32`, `${FAR.listed6}/128`]);
    await expectReach({ [FAR.listed4]: [], [FAR.listed6]: [], [FAR.unlisted4]: ALL });
    const again = world.worker();
    await worker[Symbol.asyncDispose]();
    await again.call("start");
    worker = again;
    await expectReach({ [FAR.listed4]: [], [FAR.listed6]: [], [FAR.unlisted4]: ALL });
    await worker.call("setFleet", [`${FAR.unlisted4}/32`]);
    await expectReach({ [FAR.listed4]: ALL, [FAR.listed6]: ALL, [FAR.unlisted4]: [] });
    await worker.call("setFleet", []);
  });

  it("are told to whoever asks, and when they change", async () => {
    const told = await worker.call<string[]>("machineAddresses");
    expect(told).toEqual(expect.arrayContaining(["198.51.100.1/32", "10.77.0.1/32", "2001:db8::/127"]));
    expect(told.filter((cidr) => /^(127|169\.254|fe80|::1)/.test(cidr))).toEqual([]);
    await world.inHost("ip", "addr", "add", "198.51.100.78/32", "dev", "lo");
    const last = async (): Promise<string[] | undefined> => (await worker.call<string[][]>("toldAddresses")).at(-1);
    await expect.poll(last, { timeout: 5000 }).toContain("198.51.100.78/32");
    await world.inHost("ip", "addr", "del", "198.51.100.78/32", "dev", "lo");
    await expect.poll(last, { timeout: 5000 }).not.toContain("198.51.100.78/32");
  });
});
