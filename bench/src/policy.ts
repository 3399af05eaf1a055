// The benchmark "policy": how soon a changed policy holds, and what the router costs those who pass it.
import { benchPolicyKernel } from "./policy-kernel.ts";
import { benchPolicyPackets } from "./policy-packets.ts";
import { benchPolicyPaths } from "./policy-paths.ts";
import { benchPolicySdk } from "./policy-sdk.ts";
import type { Run } from "./room.ts";
import { attempt } from "./room.ts";
import type { Result } from "./stats.ts";
import { inWords } from "./stats.ts";

const PARTS: Readonly<Record<string, (run: Run) => Promise<Result[]>>> = {
  kernel: benchPolicyKernel,
  sdk: benchPolicySdk,
  paths: benchPolicyPaths,
  packets: benchPolicyPackets,
};
/** For each of them, but for the clean-up. */
const BOUND_MS = 5 * 60_000;

/** Names of what {@link benchPolicy} can be limited to. */
export const POLICY_PARTS: readonly string[] = Object.keys(PARTS);

/** Runs all parts, or only those named. What was found is kept, whatever fails later. */
export async function benchPolicy(run: Run, only: readonly string[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const [name, bench] of Object.entries(PARTS)) {
    if (only.length > 0 && !only.includes(name)) continue;
    run.signal.throwIfAborted();
    await attempt(run, name, async () => {
      const signal = AbortSignal.any([run.signal, AbortSignal.timeout(BOUND_MS)]);
      const found = await bench({ ...run, signal });
      for (const result of found) run.say(inWords(result));
      results.push(...found);
    });
  }
  return results;
}
