// What the way out of a slot costs: bytes of one connection, and connections by the second (one after the other, each with
// a byte each way, and 32 at once), beside the same cables with masquerade and no rules. Sent from the slot's own
// namespace, without gVisor: the rules are what is measured.
import type { Policy } from "./policy-changes.ts";
import type { Load, Path } from "./policy-traffic.ts";
import type { PolicyWorld } from "./policy-world.ts";
import { startPolicyWorld } from "./policy-world.ts";
import { machineCpuMs } from "./processes.ts";
import type { Run } from "./room.ts";
import type { Result, Unit } from "./stats.ts";
import { compare } from "./stats.ts";

const ROUNDS = 41;
const STREAM_BYTES = 500_000_000;
const CONNECTIONS = 1_000;
const TARGET = 0.9;
const POLICIES: Readonly<Record<string, Policy>> = { open: "open", list: { allow: ["198.51.100.0/24"] } };

const TWIN = "the same cables, masquerade alone";
const BARE = "one veth and masquerade alone";

interface Taken {
  /** Units of the load by the second. */
  readonly rates: number[];
  /** CPU time of the whole machine for it, in milliseconds. */
  readonly cpuMs: number[];
}

export async function benchPolicyPaths(run: Run): Promise<Result[]> {
  await using world = await startPolicyWorld();
  const ways: Record<string, Path> = { twin: world.twin, bare: world.bare };
  // A slot for each: a change of policy is followed by a look at all connections of its slot.
  for (const [name, policy] of Object.entries(POLICIES)) ways[name] = await world.slot(policy);
  const bytes = await inTurns(run, world, ways, "stream", STREAM_BYTES / 1e6);
  const connections = await inTurns(run, world, ways, "connect", CONNECTIONS);
  const crowd = await inTurns(run, world, ways, "crowd", CONNECTIONS);
  return [
    ...comparisons("throughput", "MB/s", bytes, TARGET),
    ...comparisons("connections", "connections/s", connections, TARGET),
    // Nobody waits here, so all that the rules cost shows: what one processor can do at most.
    ...comparisons("connections-32-at-once", "connections/s", crowd),
  ];
}

function comparisons(what: string, unit: Unit, taken: ReadonlyMap<string, Taken>, target?: number): Result[] {
  const of = (way: string): Taken => taken.get(way) ?? { rates: [], cpuMs: [] };
  return Object.keys(POLICIES).flatMap((policy) => {
    const name = `policy/${what}-${policy}`;
    const rates = { unit, ours: of(policy).rates };
    return [
      compare({ ...rates, name, peerName: TWIN, peer: of("twin").rates, ...(target === undefined ? {} : { target }) }),
      compare({ ...rates, name: `${name}-one-hop`, peerName: BARE, peer: of("bare").rates }),
      compare({
        name: `${name}-cpu`,
        unit: "ms",
        ours: of(policy).cpuMs,
        peerName: `${TWIN} (CPU of the whole machine)`,
        peer: of("twin").cpuMs,
      }),
    ];
  });
}

/**
 * Round by round, each way once, so that a machine that slows down does so for all.
 *
 * @param units what of the load is sent each time: megabytes, or connections.
 */
async function inTurns(
  { say, signal }: Run,
  world: PolicyWorld,
  ways: Readonly<Record<string, Path>>,
  load: Load,
  units: number,
): Promise<ReadonlyMap<string, Taken>> {
  const found = new Map(Object.keys(ways).map((name): [string, Taken] => [name, { rates: [], cpuMs: [] }]));
  for (let round = 0; round <= ROUNDS; round += 1) {
    if (round % 10 === 0) say(`paths: ${load}, round ${round} of ${ROUNDS}`);
    for (const [name, path] of Object.entries(ways)) {
      signal.throwIfAborted();
      const before = machineCpuMs();
      const ns = await world.send(load, path, load === "stream" ? units * 1e6 : units);
      if (round === 0) continue; // warm-up
      found.get(name)?.cpuMs.push(machineCpuMs() - before);
      found.get(name)?.rates.push((units / ns) * 1e9);
    }
  }
  return found;
}
