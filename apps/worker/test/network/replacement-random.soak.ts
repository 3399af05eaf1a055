// A slot's policy replaced a thousand times by others drawn at random, while it sends all the while: what two policies in
// a row both allow always arrives, what both deny never does. SALLYPORT_SOAK_REPLACEMENTS sets how many times (1,000).

import { compile, evaluate, type NetworkPolicy } from "@sallyport/policy";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { SlotNetwork } from "../../src/network/contract.ts";
import { droppedByQueues, expectAllBut } from "./backlog.ts";
import type { Child } from "./child.ts";
import { frame, isIpv6, PROTOCOL, packet, TCP, tcp, udp } from "./packets.ts";
import { type Probe, probeName } from "./policies.ts";
import type { Injector } from "./wire.ts";
import { FAR, HOST, World } from "./world.ts";

const REPLACEMENTS = Number(process.env["SALLYPORT_SOAK_REPLACEMENTS"] ?? "1000");
const SEED = Number(process.env["SALLYPORT_SOAK_SEED"] ?? "20261128");
/** To each destination, from ports that stay the same. */
const FLOWS = 2;
/** Destinations to which every round opens one more flow. */
const OPENED = 4;
const ECHO_MS = 5000;
const GRANTS = ["10.77.0.0/24"];

const ADDRESSES = [
  FAR.listed4,
  "198.51.100.64",
  FAR.unlisted4,
  FAR.listed6,
  "2001:db8::64",
  FAR.unlisted6,
  FAR.private4,
  FAR.private6,
  FAR.metadata,
  HOST.ipv4,
];
const PORTS = [53, 443, 8080, 9000];
const DESTINATIONS: readonly Probe[] = ADDRESSES.flatMap((address) =>
  PORTS.flatMap((port): Probe[] => [
    { address, protocol: "tcp", port },
    { address, protocol: "udp", port },
  ]),
);

const CIDRS = [
  "198.51.100.0/24",
  "198.51.100.0/26",
  "198.51.100.128/25",
  "198.51.100.10/32",
  "0.0.0.0/0",
  "10.77.0.0/24",
  "2001:db8::/32",
  "2001:db8::/122",
  "2001:db8::10/128",
  "::/0",
];
const ENTRIES = CIDRS.flatMap((cidr) => [
  cidr,
  { cidr, protocol: "tcp" as const },
  { cidr, protocol: "udp" as const, ports: [53, [8000, 9000]] as const },
  { cidr, protocol: "tcp" as const, ports: [443] },
  { cidr, ports: [[1, 443]] as const },
  { cidr, ports: [9000] },
]);
const POLICIES: fc.Arbitrary<NetworkPolicy> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom<NetworkPolicy>("open", "blocked") },
  { weight: 5, arbitrary: fc.subarray(ENTRIES, { minLength: 1, maxLength: 12 }).map((allow) => ({ allow })) },
);

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
let injector: Injector;
let hardware: { readonly own: string; readonly router: string };

beforeEach(async () => {
  world = await World.create();
  worker = world.worker({ limits: LIMITS });
  await worker.call("start");
  slot = await worker.call<SlotNetwork>("acquireSlot");
  injector = world.injector(slot.netnsPath);
  hardware = {
    own: await world.hardwareAddress(slot.netnsPath, slot.interfaceName),
    router: await world.hardwareAddress(world.routerPath, `slot${slot.slot}`),
  };
  await world.inHost("nft", eyes());
  // Resets and errors would end flows that are meant to go on.
  const ports = `{ ${PORTS.join(", ")} }`;
  const chain = `chain mute { type filter hook input priority -500; th dport ${ports} drop; }`;
  await world.inFar("nft", `table inet mute { ${chain}; }`);
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** Counts in the machine's kernel, before all rules of its own, what the router lets out: exactly, whatever the load. */
function eyes(): string {
  const set = (family: 4 | 6): string[] => {
    const mine = DESTINATIONS.filter(({ address }) => isIpv6(address) === (family === 6));
    const elements = mine.map(({ address, protocol, port }) => `${address} . ${protocol} . ${port}`).join(", ");
    const type = `type ipv${family}_addr . inet_proto . inet_service`;
    return [`set seen${family} {`, type, "counter", `elements = { ${elements} }`, "}"];
  };
  const rule = (family: 4 | 6): string =>
    `iifname "spu*" ip${family === 6 ? "6" : ""} daddr . meta l4proto . th dport @seen${family} continue`;
  const chain = ["chain eyes {", "type filter hook prerouting priority -500;", rule(4), rule(6), "}"];
  return ["table inet eyes {", ...set(4), ...set(6), ...chain, "}"].join("\n");
}

interface Counted {
  readonly elem: {
    readonly val: { readonly concat: readonly [address: string, protocol: Probe["protocol"], port: number] };
    readonly counter: { readonly packets: number };
  };
}

/** Packets that came out, by destination. */
async function seen(): Promise<Record<string, number>> {
  const json = await world.inHost("nft", "-j", "list", "table", "inet", "eyes");
  const { nftables } = JSON.parse(json) as { nftables: { set?: { elem: readonly Counted[] } }[] };
  const elements = nftables.flatMap(({ set }) => set?.elem ?? []);
  return Object.fromEntries(
    elements.map(({ elem: { val, counter } }) => {
      const [address, protocol, port] = val.concat;
      return [probeName({ address, protocol, port }), counter.packets];
    }),
  );
}

function packetTo({ address: to, protocol, port: dport = 0 }: Probe, sport: number, flags: number): Buffer {
  const ends = { from: isIpv6(to) ? slot.ipv6 : slot.ipv4, to };
  const text = Buffer.from("on and on");
  const ports = { sport, dport };
  if (protocol === "udp") return packet(ends, PROTOCOL.udp, udp(ends, ports, text));
  return packet(ends, PROTOCOL.tcp, tcp(ends, ports, flags, text));
}

function allows(policy: NetworkPolicy, probe: Probe): boolean {
  return evaluate(policy, GRANTS, probe, { ownAddresses: Object.values(HOST) }).allowed;
}

async function setPolicy(policy: NetworkPolicy): Promise<void> {
  await worker.call("applyPolicy", slot.slot, compile(policy, GRANTS));
}

/** What is sent while one policy takes another's place. */
class Load {
  /** Packets that must have arrived by now, by destination. */
  readonly due: Record<string, number> = Object.fromEntries(DESTINATIONS.map((one) => [probeName(one), 0]));
  readonly sent = { allowed: 0, denied: 0 };
  /** Since when a destination is what it is: a flow that was cut is over, and another one takes its place. */
  readonly #since = new Map<Probe, number>();
  #port = 10_000;

  /** Destinations whose answer the change leaves as it is. */
  async around(change: () => Promise<void>, number: number, steady: ReadonlyMap<Probe, boolean>): Promise<void> {
    for (const one of DESTINATIONS) if (!steady.has(one)) this.#since.set(one, number);
    await this.#round(steady);
    let changed = false;
    const going = (async () => {
      while (!changed) await this.#round(steady);
    })();
    try {
      await change();
    } finally {
      changed = true;
      await going;
    }
    await this.#round(steady);
  }

  async #round(steady: ReadonlyMap<Probe, boolean>): Promise<void> {
    const all = [...steady.keys()];
    const flows = all.flatMap((one) => {
      const first = 2_000 + (((this.#since.get(one) ?? 0) * FLOWS) % 8_000);
      return Array.from({ length: FLOWS }, (_, flow) => ({ one, bytes: packetTo(one, first + flow, TCP.ack) }));
    });
    const opened = Array.from({ length: OPENED }, () => {
      this.#port = this.#port === 60_000 ? 10_000 : this.#port + 1;
      const one = all[this.#port % all.length] ?? HERE;
      return { one, bytes: packetTo(one, this.#port, TCP.syn) };
    });
    const packets = [...flows, ...opened];
    const { own, router } = hardware;
    const link = slot.interfaceName;
    await injector.send(packets.map(({ bytes }) => ({ link, frame: frame(router, own, bytes) })));
    for (const { one } of packets) {
      const allowed = steady.get(one) === true;
      this.sent[allowed ? "allowed" : "denied"] += 1;
      if (allowed) this.due[probeName(one)] = (this.due[probeName(one)] ?? 0) + 1;
    }
  }
}

/** Never allowed, so that there is always one whose answer stays. */
const HERE: Probe = { address: HOST.ipv4, protocol: "tcp", port: 443 };

/** A real connection to the far end, for as long as every policy allows it; then another one. */
class Echoes {
  readonly #here: Child;
  readonly #to: Probe;
  #flow: number | undefined;
  answers = 0;
  opened = 0;

  constructor(here: Child, port: number) {
    this.#here = here;
    this.#to = { address: FAR.listed4, protocol: "tcp", port };
  }

  /** Asks again and again around a change; it must answer each time. */
  async around(change: () => Promise<void>, policies: readonly NetworkPolicy[]): Promise<void> {
    if (!policies.every((policy) => allows(policy, this.#to))) {
      this.#flow = undefined;
      return change();
    }
    if (this.#flow === undefined) {
      this.#flow = await this.#here.call<number>("hold", this.#to.address, this.#to.port);
      this.opened += 1;
    }
    let changed = false;
    const asking = (async () => {
      while (!changed) await this.#ask();
    })();
    try {
      await change();
    } finally {
      changed = true;
      await asking;
    }
    await this.#ask();
  }

  async #ask(): Promise<void> {
    expect(await this.#here.call("echo", this.#flow, `echo ${this.answers};`, ECHO_MS)).toBe(true);
    this.answers += 1;
  }
}

it(`${REPLACEMENTS} random replacements under load are never more open than both policies, nor less`, async () => {
  const policies = fc.sample(POLICIES, { numRuns: REPLACEMENTS + 1, seed: SEED });
  const port = await world.agent(world.farPath).call<number>("serve");
  const echoes = new Echoes(world.agent(slot.netnsPath), port);
  const load = new Load();
  const times: number[] = [];
  let [old = "blocked"] = policies;
  await setPolicy(old);
  const droppedBefore = await droppedByQueues();
  const begun = performance.now();
  for (const [number, policy] of policies.slice(1).entries()) {
    const steady = new Map(
      DESTINATIONS.flatMap((one) => {
        const allowed = allows(policy, one);
        return allows(old, one) === allowed ? [[one, allowed] as const] : [];
      }),
    );
    const change = async (): Promise<void> => {
      const startedAt = performance.now();
      await setPolicy(policy);
      times.push(performance.now() - startedAt);
    };
    await load.around(() => echoes.around(change, [old, policy]), number, steady);
    old = policy;
  }
  const sorted = times.toSorted((left, right) => left - right);
  const at = (part: number): number | undefined => sorted[Math.floor(sorted.length * part)];
  const seconds = Math.round(performance.now() - begun) / 1000;
  const { answers, opened } = echoes;
  const applyMs = { p50: at(0.5), p95: at(0.95), p99: at(0.99), most: sorted.at(-1) };
  console.log(JSON.stringify({ replacements: times.length, seconds, applyMs, sent: load.sent, answers, opened }));
  expectAllBut((await droppedByQueues()) - droppedBefore, await seen(), load.due);
  expect(Math.min(load.sent.allowed, load.sent.denied)).toBeGreaterThan(REPLACEMENTS);
  expect(answers).toBeGreaterThan(REPLACEMENTS / 10);
});
