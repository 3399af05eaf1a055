// New connections over TLS that a second of an edge's CPU time is enough for: full handshakes with ECDSA P-256, and a byte
// to the app and back over each.
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
  await using stack = new AsyncDisposableStack();
  const ours = stack.use(await startOurs(world, { tls: true }));
  const peers = {
    "HAProxy, by a Unix socket to the app": stack.use(await startHaproxy(world, { tls: true, to: "unix" })),
    "nginx, by a Unix socket to the app": stack.use(await startNginx(world, { tls: true, to: "unix" })),
  };
  const rates = await inTurns(run, "handshakes", ROUNDS, [ours, ...Object.values(peers)], async (front) => {
    const before = front.cpuMs();
    await connectAnew(world, { place: front, tls: true }, CONNECTIONS);
    return (CONNECTIONS * 1_000) / (front.cpuMs() - before);
  });
  return Object.entries(peers).map(([peerName, front]) =>
    compare({
      name: "tunnel/handshakes",
      unit: "connections/s",
      ours: rates(ours),
      peerName,
      peer: rates(front),
    }),
  );
}
