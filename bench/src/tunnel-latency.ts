// What an edge adds to a byte there and back over one connection that stays: the median through it, less that of the app
// alone in the same round.
import type { Front } from "./front.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { alone, compare, median } from "./stats.ts";
import type { Target } from "./tunnel-load.ts";
import { ping } from "./tunnel-load.ts";
import { startOurs } from "./tunnel-ours.ts";
import { startHaproxy, startNginx } from "./tunnel-peers.ts";
import type { TunnelWorld } from "./tunnel-world.ts";
import { inTurns } from "./turns.ts";

const ROUNDS = { rounds: 7, warmUps: 2 };
const PINGS = 3_000;
const TARGET = 1.5;

export async function benchLatency(run: Run, world: TunnelWorld): Promise<Result[]> {
  const results: Result[] = [];
  for (const tls of [false, true]) {
    const name = tls ? "latency-tls" : "latency-raw";
    await using stack = new AsyncDisposableStack();
    const ours = stack.use(await startOurs(world, { tls }));
    const peers = {
      "HAProxy, by a Unix socket to the app": stack.use(await startHaproxy(world, { tls, to: "unix" })),
      "nginx, by a Unix socket to the app": stack.use(await startNginx(world, { tls, to: "unix" })),
    };
    const straight: Target = { place: { address: "127.0.0.1", port: world.app.port }, tls: false };
    const through = (front: Front): Target => ({ place: front, tls });
    const mine = through(ours);
    const others = Object.entries(peers).map(([peerName, front]) => ({ peerName, target: through(front) }));
    const all = [straight, mine, ...others.map(({ target }) => target)];
    const taken = await inTurns(run, name, ROUNDS, all, async (target) => {
      return median(await ping(world, target, PINGS)) / 1_000;
    });
    const bare = taken(straight);
    const added = (target: Target) => taken(target).map((one, round) => one - (bare[round] ?? Number.NaN));
    for (const { peerName, target } of others) {
      const both = { ours: added(mine), peerName, peer: added(target) };
      results.push(compare({ name: `tunnel/${name}`, unit: "µs", ...both, target: TARGET }));
    }
    const because = "the app alone, over TCP";
    results.push(alone({ name: `tunnel/${name}-without`, unit: "µs", ours: bare, because }));
  }
  return results;
}
