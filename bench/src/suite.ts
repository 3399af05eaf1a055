// The benchmark "create": every figure of sandboxes that are used, on one pair of platforms, in one run.
import { benchBurst } from "./burst.ts";
import { benchCreate } from "./create.ts";
import { benchExec } from "./exec.ts";
import { benchIdle } from "./idle.ts";
import type { Room, Run } from "./room.ts";
import { startRoom } from "./room.ts";
import type { Result } from "./stats.ts";
import { benchThroughput } from "./throughput.ts";

/** In this order: the later ones leave residents running, whose idling would slow the earlier. */
const PARTS: Readonly<Record<string, (room: Room) => Promise<Result[]>>> = {
  create: benchCreate,
  burst: benchBurst,
  idle: benchIdle,
  exec: benchExec,
  throughput: benchThroughput,
};

/** Names of what {@link benchSuite} can be limited to. */
export const SUITE_PARTS: readonly string[] = Object.keys(PARTS);

/** Runs all parts, or only those named. */
export async function benchSuite(run: Run, only: readonly string[]): Promise<Result[]> {
  await using room = await startRoom(run);
  const results: Result[] = [];
  for (const [name, bench] of Object.entries(PARTS)) {
    if (only.length > 0 && !only.includes(name)) continue;
    try {
      results.push(...(await bench(room)));
    } catch (error) {
      run.signal.throwIfAborted();
      run.failed(name, error);
    }
  }
  return results;
}
