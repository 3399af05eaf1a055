// New connections that a second of an edge's CPU time is enough for, a byte to the app and back over each: full handshakes
// of TLS 1.3 with ECDSA P-256; and in the clear, so that what TLS costs can be told apart.
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";
import { connectAnew } from "./tunnel-load.ts";
import { startOurs } from "./tunnel-ours.ts";
import { startHaproxy, startNginx } from "./tunnel-peers.ts";
import type { TunnelWorld } from "./tunnel-world.ts";
import { inTurns } from "./turns.ts";

/** Compilers at run time need some thousand connections. */
const ROUNDS = { rounds: 5, warmUps: 2 };
const CONNECTIONS = 2_000;

export async function benchHandshakes(run: Run, world: TunnelWorld): Promise<Result[]> {
  const results: Result[] = [];
  for (const tls of [true, false]) {
    await using stack = new AsyncDisposableStack();
    const ours = stack.use(await startOurs(world, { tls }));
    const peers = {
      "HAProxy, by a Unix socket to the app": stack.use(await startHaproxy(world, { tls, to: "unix" })),
      "nginx, by a Unix socket to the app": stack.use(await startNginx(world, { tls, to: "unix" })),
    };
    const name = tls ? "handshakes" : "connections-raw";
    const rates = await inTurns(run, name, ROUNDS, [ours, ...Object.values(peers)], async (front) => {
      const before = front.cpuMs();
      await connectAnew(world, { place: front, tls }, CONNECTIONS);
      return (CONNECTIONS * 1_000) / (front.cpuMs() - before);
    });
    for (const [peerName, front] of Object.entries(peers)) {
      const both = { ours: rates(ours), peerName, peer: rates(front) };
      results.push(compare({ name: `tunnel/${name}`, unit: "connections/s", ...both }));
    }
  }
  return results;
}
