// How long the slowest answers take when 500 connections ask at once, each again and again: whoever does less for a
// request has the shorter queue.
import type { Front } from "./connect-front.ts";
import { startHaproxy } from "./connect-haproxy.ts";
import { wrk } from "./connect-load.ts";
import { startOurs } from "./connect-ours.ts";
import type { ConnectWorld } from "./connect-world.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";

const ROUNDS = 3;
const SECONDS = 3;
const CONNECTIONS = 500;
const TARGET = 1.5;

export async function benchCrowd({ say, signal }: Run, world: ConnectWorld): Promise<Result[]> {
  const results: Result[] = [];
  for (const tls of [false, true]) {
    await using ours = await startOurs(world, { tls });
    await using bare = await startHaproxy(world, { tls });
    const name = `p99-of-${CONNECTIONS}${tls ? "-tls" : ""}`;
    const found = new Map<Front, number[]>([
      [ours, []],
      [bare, []],
    ]);
    for (let round = 0; round <= ROUNDS; round += 1) {
      say(`${name}: round ${round} of ${ROUNDS}`);
      for (const [front, samples] of found) {
        signal.throwIfAborted();
        const { p99Ms } = await wrk(world, front, { connections: CONNECTIONS, seconds: SECONDS, tls });
        if (round > 0) samples.push(p99Ms); // the first is a warm-up
      }
    }
    results.push(
      compare({
        name: `connect/${name}`,
        unit: "ms",
        ours: found.get(ours) ?? [],
        peerName: "HAProxy without any token",
        peer: found.get(bare) ?? [],
        target: TARGET,
      }),
    );
  }
  return results;
}
