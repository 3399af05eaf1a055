// How long the slowest answers take when 500 connections ask at once, each again and again: whoever does less for a
// request has the shorter queue.
import { startHaproxy } from "./connect-haproxy.ts";
import { wrk } from "./connect-load.ts";
import { startOurs } from "./connect-ours.ts";
import type { ConnectWorld } from "./connect-world.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";
import { inTurns } from "./turns.ts";

const ROUNDS = { rounds: 3, warmUps: 1 };
const SECONDS = 3;
const CONNECTIONS = 500;
const TARGET = 1.5;

export async function benchCrowd(run: Run, world: ConnectWorld): Promise<Result[]> {
  const results: Result[] = [];
  for (const tls of [false, true]) {
    await using ours = await startOurs(world, { tls });
    await using bare = await startHaproxy(world, { tls });
    const name = `p99-of-${CONNECTIONS}${tls ? "-tls" : ""}`;
    const found = await inTurns(run, name, ROUNDS, [ours, bare], async (front) => {
      return (await wrk(world, front, { connections: CONNECTIONS, seconds: SECONDS, tls })).p99Ms;
    });
    results.push(
      compare({
        name: `connect/${name}`,
        unit: "ms",
        ours: found(ours),
        peerName: "HAProxy without any token",
        peer: found(bare),
        target: TARGET,
      }),
    );
  }
  return results;
}
