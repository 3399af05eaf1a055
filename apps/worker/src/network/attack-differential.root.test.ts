// `evaluate` of packages/policy against the kernel: generated policies, and for each of them destinations at the edges
// of what it lists. Packets go out of the slot's own namespace; what leaves the router was let through.

import { type Evaluation, evaluate } from "@sallyport/policy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Attack, Attacker } from "../../test/network/attacker.ts";
import { echo, icmpProtocol, isIpv6, PROTOCOL, packet, TCP, tcp, udp } from "../../test/network/packets.ts";
import { type Probe, probeName, type Scene, scenes } from "../../test/network/policies.ts";
import { World } from "../../test/network/world.ts";

const SCENES = 300;
const PROBES = 12;
const SEED = 20_261_128;

let world: World;
let attacker: Attacker;
let own: string[];

beforeAll(async () => {
  world = await World.create();
  // A dozen connections of one policy are no flood, those of all together would be.
  const limits = { connections: 60_000, newConnectionsPerSecond: 100_000, packetsPerSecond: 200_000, bandwidthMbit: 0 };
  attacker = await Attacker.start(world, { limits });
  own = (await Promise.all(["-4", "-6"].map(localRoutes))).flat();
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** What the machine's kernel takes for its own. */
async function localRoutes(family: string): Promise<string[]> {
  const json = await world.inHost("ip", family, "-json", "route", "show", "table", "local");
  return (JSON.parse(json) as { dst: string }[]).map(({ dst }) => dst).filter((dst) => /^[0-9a-f.:]+$/.test(dst));
}

let flow = 1000;

function attackOf(probe: Probe): Attack {
  const { address: to, protocol, port: dport = 0 } = probe;
  const ends = { from: isIpv6(to) ? attacker.slot.ipv6 : attacker.slot.ipv4, to };
  // A flow of its own each: nothing is let through because something before it was.
  flow += 1;
  const ports = { sport: flow, dport };
  const packets = (mark: Buffer): Buffer[] => {
    if (protocol === "icmp") return [packet(ends, icmpProtocol(to), echo(ends, flow, mark))];
    if (protocol === "udp") return [packet(ends, PROTOCOL.udp, udp(ends, ports, mark))];
    return [packet(ends, PROTOCOL.tcp, tcp(ends, ports, TCP.syn, mark))];
  };
  return { name: probeName(probe), packets };
}

/** Probes on which the two differ, with what `evaluate` says. */
async function differences({ policy, grants, probes }: Scene): Promise<string[]> {
  await attacker.setPolicy(policy, grants);
  const arrived = new Set(await attacker.successes(probes.map(attackOf)));
  attacker.forget();
  return probes.flatMap((probe) => {
    const says = said(probe, policy, grants);
    tally[says.allowed ? "allowed" : "denied"] += 1;
    if (arrived.has(probeName(probe)) === says.allowed) return [];
    return [`${JSON.stringify({ policy, grants })} ${probeName(probe)}: ${says.rule}`];
  });
}

const said = (probe: Probe, policy: Scene["policy"], grants: readonly string[]): Evaluation =>
  evaluate(policy, grants, probe, { ownAddresses: own });

const tally = { allowed: 0, denied: 0 };

describe("evaluate and the kernel", () => {
  it(`agree on ${SCENES * PROBES} destinations of ${SCENES} policies`, { timeout: 120_000 }, async () => {
    const found: string[] = [];
    for (const scene of scenes({ count: SCENES, probes: PROBES, seed: SEED, own }))
      found.push(...(await differences(scene)));
    expect(found).toEqual([]);
    // Of both enough that agreeing means something.
    expect(Math.min(tally.allowed, tally.denied)).toBeGreaterThan(1000);
  });
});
