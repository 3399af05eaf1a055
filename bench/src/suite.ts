// The benchmark "create": every figure of sandboxes that are used, on one pair of platforms, in one run.
import { benchBurst } from "./burst.ts";
import { benchCreate } from "./create.ts";
import { benchExec } from "./exec.ts";
import { benchIdle } from "./idle.ts";
import type { Room, Run } from "./room.ts";
import { attempt, startRoom } from "./room.ts";
import type { Result } from "./stats.ts";
import { inWords } from "./stats.ts";
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

/** Runs all parts, or only those named. What was found is kept, whatever fails later. */
export async function benchSuite(run: Run, only: readonly string[]): Promise<Result[]> {
  const results: Result[] = [];
  const room = await startRoom(run);
  try {
    for (const [name, bench] of Object.entries(PARTS)) {
      if (only.length > 0 && !only.includes(name)) continue;
      run.signal.throwIfAborted();
      await attempt(run, name, async () => {
        const found = await bench(room);
        for (const result of found) run.say(inWords(result));
        results.push(...found);
      });
    }
  } finally {
    await attempt(run, "clean-up", () => room[Symbol.asyncDispose]());
  }
  return results;
}
