// A slot's policy replaced a thousand times while it sends all the while: what the old policy and the new one both allow
// always arrives, what both deny never does, and what only one of them allows arrives exactly while that one holds.
// SALLYPORT_SOAK_REPLACEMENTS sets how many times (1,000).

import { compile, type NetworkPolicy } from "@sallyport/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SlotNetwork } from "../../src/network/contract.ts";
import { droppedByQueues, expectAllBut } from "./backlog.ts";
import type { Child } from "./child.ts";
import { frame, isIpv6, PROTOCOL, packet, TCP, tcp, udp } from "./packets.ts";
import type { Injector } from "./wire.ts";
import { FAR, HOST, World } from "./world.ts";

const REPLACEMENTS = Number(process.env["SALLYPORT_SOAK_REPLACEMENTS"] ?? "1000");
const SERVED_PORT = 443;
/** Of each destination, per protocol; every round sends a packet in each, and opens one more. */
const FLOWS = 8;
/** Sent to each destination of a turn, each time a policy holds. */
const PER_TURN = 4;
const ECHO_MS = 5000;
const SETTLE_MS = 500;

/** Allowed by every policy here. */
const ALWAYS = [FAR.listed4, FAR.listed6];
/** Allowed by every second allow list. */
const TURNS = [
  ["198.51.100.64", "2001:db8::64"],
  ["198.51.100.65", "2001:db8::65"],
] as const;
/** Public, and on no list. */
const UNLISTED = [FAR.unlisted4, FAR.unlisted6];
/** Denied by every policy there is. */
const NEVER = [HOST.ipv4, HOST.ipv6, FAR.metadata, FAR.private4, FAR.private6];
const ALL = [...ALWAYS, ...TURNS.flat(), ...UNLISTED, ...NEVER];

/** So high that a flood of the test's own meets none of them. */
const LIMITS = {
  connections: 1_000_000,
  newConnectionsPerSecond: 1_000_000,
  packetsPerSecond: 10_000_000,
  bandwidthMbit: 0,
};

let world: World;
let worker: Child;
let slot: SlotNetwork;
let hardware: { readonly own: string; readonly router: string };
/** Packets that must have arrived by now, by destination. */
let sent: Map<string, number>;
let port: number;

beforeEach(async () => {
  world = await World.create();
  worker = world.worker({ limits: LIMITS });
  await worker.call("start");
  slot = await worker.call<SlotNetwork>("acquireSlot");
  hardware = {
    own: await world.hardwareAddress(slot.netnsPath, slot.interfaceName),
    router: await world.hardwareAddress(world.routerPath, `slot${slot.slot}`),
  };
  await world.inHost("nft", eyes());
  // Resets and errors would end flows that are meant to go on.
  await world.inFar(
    "nft",
    `table inet mute { chain mute { type filter hook input priority -500; th dport ${SERVED_PORT} drop; }; }`,
  );
  sent = new Map(ALL.map((address) => [address, 0]));
  port = 10_000;
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** Counts in the machine's kernel, before all rules of its own, what the router lets out: exactly, whatever the load. */
function eyes(): string {
  const counters = ALL.map((_, at) => `counter seen${at} { }`);
  const rules = ALL.map((address, at) => {
    return `iifname "spu*" ip${isIpv6(address) ? "6" : ""} daddr ${address} th dport ${SERVED_PORT} counter name seen${at}`;
  });
  const chain = ["chain eyes {", "type filter hook prerouting priority -500;", ...rules, "}"];
  return ["table inet eyes {", ...counters, ...chain, "}"].join("\n");
}

async function seen(): Promise<Map<string, number>> {
  const json = await world.inHost("nft", "-j", "list", "counters", "table", "inet", "eyes");
  const { nftables } = JSON.parse(json) as { nftables: { counter?: { name: string; packets: number } }[] };
  const counters = nftables.flatMap(({ counter }) => (counter === undefined ? [] : [counter]));
  const packets = (at: number): number => counters.find(({ name }) => name === `seen${at}`)?.packets ?? 0;
  return new Map(ALL.map((address, at) => [address, packets(at)]));
}

function packetsTo(to: string, sport: number, flags: number): Buffer[] {
  const ends = { from: isIpv6(to) ? slot.ipv6 : slot.ipv4, to };
  const ports = { sport, dport: SERVED_PORT };
  const text = Buffer.from("on and on");
  return [
    packet(ends, PROTOCOL.udp, udp(ends, ports, text)),
    packet(ends, PROTOCOL.tcp, tcp(ends, ports, flags, text)),
  ];
}

async function put(injector: Injector, packets: readonly Buffer[]): Promise<void> {
  const { own, router } = hardware;
  await injector.send(packets.map((bytes) => ({ link: slot.interfaceName, frame: frame(router, own, bytes) })));
}

/** A source port that no flow here had for a long while. */
function freshPort(): number {
  port = port >= 60_000 ? 10_000 : port + 1;
  return port;
}

function expectSeen(addresses: readonly string[], packets: number): void {
  for (const address of addresses) sent.set(address, (sent.get(address) ?? 0) + packets);
}

/** Flows that go on, and new ones, to everything whose answer does not change. Answers how many packets it sent. */
async function load(stop: AbortSignal, fixed: readonly string[]): Promise<number> {
  const injector = world.injector(slot.netnsPath);
  const steady = fixed.flatMap((to) =>
    Array.from({ length: FLOWS }, (_, flow) => packetsTo(to, 2000 + flow, TCP.ack)).flat(),
  );
  let packets = 0;
  while (!stop.aborted) {
    const opened = fixed.flatMap((to) => packetsTo(to, freshPort(), TCP.syn));
    await put(injector, [...steady, ...opened]);
    packets += steady.length + opened.length;
    expectSeen(ALWAYS, 2 * FLOWS + 2);
  }
  return packets;
}

/** One real connection, asked again and again. Answers how often it answered; it must each time. */
async function echoes(stop: AbortSignal, agent: Child, farPort: number): Promise<number> {
  const flow = await agent.call<number>("hold", FAR.listed4, farPort);
  let answers = 0;
  while (!stop.aborted) {
    expect(await agent.call("echo", flow, `echo ${answers};`, ECHO_MS)).toBe(true);
    answers += 1;
  }
  return answers;
}

const MANY = Array.from({ length: 200 }, (_, at) => `8.${at}.7.0/24`);

/** Lists that name the same in different ways, beside more or less else. */
function list(number: number, farPort: number): Exclude<NetworkPolicy, string> {
  const ports = [SERVED_PORT, farPort];
  const always = [
    ["198.51.100.10/32", "2001:db8::10/128"],
    ["198.51.100.0/26", "2001:db8::/122"],
    [
      { cidr: "198.51.100.8/29", ports },
      { cidr: "2001:db8::/124", ports },
      { cidr: "2001:db8::10/128", ports },
    ],
  ];
  const turn = (TURNS[number % 2] ?? []).map((address) => `${address}/${isIpv6(address) ? 128 : 32}`);
  const more = [[], MANY, [{ cidr: "9.0.0.0/8", ports: [[1, 1000]] as const }], ["10.99.0.0/16", "fd99::/32"]];
  return { allow: [...(always[number % 3] ?? []), ...turn, ...(more[number % 4] ?? [])] };
}

const GRANTS = ["10.99.0.0/16", "fd99::/32"];

/** Replaces the policy so often, and tries each time what the one that now holds allows, and what only the last did. */
async function replace(policyOf: (number: number) => NetworkPolicy): Promise<readonly number[]> {
  const injector = world.injector(slot.netnsPath);
  const times: number[] = [];
  for (let number = 0; number < REPLACEMENTS; number++) {
    const policy = policyOf(number);
    const begun = performance.now();
    await worker.call("applyPolicy", slot.slot, compile(policy, GRANTS));
    times.push(performance.now() - begun);
    const to = TURNS.flat();
    await put(
      injector,
      Array.from({ length: PER_TURN / 2 }, () => to.flatMap((one) => packetsTo(one, freshPort(), TCP.syn))).flat(),
    );
    expectSeen(policy === "open" ? to : (TURNS[number % 2] ?? []), PER_TURN);
  }
  return times;
}

/** The first packets wait for the addresses of neighbours, and may get lost: they are not counted. */
async function warmUp(): Promise<void> {
  const injector = world.injector(slot.netnsPath);
  const arrives = async (): Promise<boolean> => {
    await put(
      injector,
      ALWAYS.flatMap((to) => packetsTo(to, freshPort(), TCP.syn)),
    );
    const counted = await seen();
    return ALWAYS.every((to) => (counted.get(to) ?? 0) > 0);
  };
  await expect.poll(arrives, { timeout: 10_000 }).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await world.inHost("nft", "reset", "counters", "table", "inet", "eyes");
}

async function replaceUnderLoad(withOpen: boolean): Promise<void> {
  const far = world.agent(world.farPath);
  const farPort = await far.call<number>("serve");
  const policyOf = (number: number): NetworkPolicy => (withOpen && number % 3 === 2 ? "open" : list(number, farPort));
  await worker.call("applyPolicy", slot.slot, compile(policyOf(0), GRANTS));
  await warmUp();
  const denied = withOpen ? NEVER : [...NEVER, ...UNLISTED];
  const droppedBefore = await droppedByQueues();
  const stop = new AbortController();
  const begun = performance.now();
  const loading = load(stop.signal, [...ALWAYS, ...denied]);
  const echoing = echoes(stop.signal, world.agent(slot.netnsPath), farPort);
  const times = await replace(policyOf).finally(() => stop.abort());
  const [packets, answers] = await Promise.all([loading, echoing]);
  const sorted = times.toSorted((left, right) => left - right);
  console.log(
    JSON.stringify({
      replacements: times.length,
      packets,
      answers,
      seconds: Math.round(performance.now() - begun) / 1000,
      applyMs: { median: sorted[Math.floor(sorted.length / 2)], most: sorted.at(-1) },
    }),
  );
  const dropped = (await droppedByQueues()) - droppedBefore;
  expectAllBut(dropped, Object.fromEntries(await seen()), Object.fromEntries(sent));
  expect(packets).toBeGreaterThan(REPLACEMENTS);
  expect(answers).toBeGreaterThan(0);
}

describe(`${REPLACEMENTS} replacements under load`, () => {
  it("of one allow list by another are never more open than both, nor less", () => replaceUnderLoad(false));

  it("of allow lists by open and back are never more open than both, nor less", () => replaceUnderLoad(true));
});
