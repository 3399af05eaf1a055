// What a packet pays for the other slots of the machine: the smallest datagrams of one flow through the same slot, with 10
// slots in the router and with 1,000, in turns. The sender is alone on its processor, and all that the kernel does with a
// packet happens there before the next one: what a packet takes is what it costs.
import type { Policy } from "./policy-changes.ts";
import { CROWD } from "./policy-changes.ts";
import { startPolicyWorld } from "./policy-world.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";

const SIZES = [10, 1_000] as const;
const ROUNDS = 15;
/** In each round, at each size. */
const BURSTS = 3;
const DATAGRAMS = 50_000;
/** The share that must come through: the kernel's own queue may be full for a moment. */
const ARRIVING = 0.98;
const TARGET = 1.1;
const POLICIES: Readonly<Record<string, Policy>> = { open: "open", list: { allow: ["198.51.100.0/24"] } };

export async function benchPolicyPackets({ say, signal }: Run): Promise<Result[]> {
  await using world = await startPolicyWorld();
  const results: Result[] = [];
  for (const [name, policy] of Object.entries(POLICIES)) {
    const ours = await world.slot(policy);
    const samples: Record<(typeof SIZES)[number] | "twin", number[]> = { 10: [], 1000: [], twin: [] };
    for (let round = 0; round <= ROUNDS; round += 1) {
      if (round % 5 === 0) say(`packets: ${name}, round ${round} of ${ROUNDS}`);
      for (const size of SIZES) {
        await world.crowd(size - 1, CROWD);
        for (let burst = 0; burst < BURSTS; burst += 1) {
          signal.throwIfAborted();
          const arrived = await world.arrived();
          const ns = await world.send("datagrams", ours, DATAGRAMS);
          const came = (await world.arrived()) - arrived;
          if (came < DATAGRAMS * ARRIVING) throw new Error(`${came} of ${DATAGRAMS} datagrams came through`);
          if (round > 0) samples[size].push(ns / DATAGRAMS); // the first is a warm-up
        }
      }
      const ns = await world.send("datagrams", world.twin, DATAGRAMS);
      if (round > 0) samples.twin.push(ns / DATAGRAMS);
    }
    results.push(
      compare({
        name: `policy/packet-${name}-1000`,
        unit: "ns",
        ours: samples[1_000],
        peerName: "the same with 10 slots",
        peer: samples[10],
        target: TARGET,
      }),
      compare({
        name: `policy/packet-${name}-10`,
        unit: "ns",
        ours: samples[10],
        peerName: "the same cables, masquerade alone",
        peer: samples.twin,
      }),
    );
  }
  return results;
}
