// The parts of a benchmark, one after the other: what one of them found is kept, whatever fails later.
import type { Run } from "./room.ts";
import { attempt } from "./room.ts";
import type { Result } from "./stats.ts";
import { inWords } from "./stats.ts";

/** In their order, by name. */
export type Parts<World> = Readonly<Record<string, (run: Run, world: World) => Promise<Result[]>>>;

/** For each of them, but for the clean-up. */
const BOUND_MS = 5 * 60_000;

/** Runs all of them, or only those named. */
export async function runParts<World>(
  run: Run,
  parts: Parts<World>,
  only: readonly string[],
  world: World,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, bench] of Object.entries(parts)) {
    if (only.length > 0 && !only.includes(name)) continue;
    run.signal.throwIfAborted();
    await attempt(run, name, async () => {
      const signal = AbortSignal.any([run.signal, AbortSignal.timeout(BOUND_MS)]);
      const found = await bench({ ...run, signal }, world);
      for (const result of found) run.say(inWords(result));
      results.push(...found);
    });
  }
  return results;
}
