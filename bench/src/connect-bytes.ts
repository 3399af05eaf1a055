// What 1 GiB through a proxy costs it in CPU time, down and up, in the clear and over TLS.
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startHaproxy } from "./connect-haproxy.ts";
import { transfer } from "./connect-load.ts";
import { startOurs } from "./connect-ours.ts";
import type { ConnectWorld } from "./connect-world.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";
import { inTurns } from "./turns.ts";

const ROUNDS = { rounds: 3, warmUps: 1 };
const BYTES = 1024 ** 3;
const TARGET = 1.2;

export async function benchBytes(run: Run, world: ConnectWorld): Promise<Result[]> {
  const upload = join(world.directory, "upload");
  await writeFile(upload, "");
  await truncate(upload, BYTES); // no block of it is on any disk
  const results: Result[] = [];
  for (const tls of [false, true]) {
    await using ours = await startOurs(world, { tls });
    await using bare = await startHaproxy(world, { tls });
    for (const way of ["down", "up"] as const) {
      const name = `bytes-${way}${tls ? "-tls" : ""}`;
      const costs = await inTurns(run, name, ROUNDS, [ours, bare], async (front) => {
        const before = front.cpuMs();
        await transfer(world, front, { way, upload, bytes: BYTES, tls });
        return front.cpuMs() - before;
      });
      results.push(
        compare({
          name: `connect/${name}`,
          unit: "ms",
          ours: costs(ours),
          peerName: "HAProxy, the same way",
          peer: costs(bare),
          target: TARGET,
        }),
      );
    }
  }
  return results;
}
