// The benchmark "policy": how soon a changed policy holds, and what the router costs those who pass it.

import type { Parts } from "./parts.ts";
import { runParts } from "./parts.ts";
import { benchPolicyKernel } from "./policy-kernel.ts";
import { benchPolicyPackets } from "./policy-packets.ts";
import { benchPolicyPaths } from "./policy-paths.ts";
import { benchPolicySdk } from "./policy-sdk.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";

const PARTS: Parts<undefined> = {
  kernel: benchPolicyKernel,
  sdk: benchPolicySdk,
  paths: benchPolicyPaths,
  packets: benchPolicyPackets,
};

/** Names of what {@link benchPolicy} can be limited to. */
export const POLICY_PARTS: readonly string[] = Object.keys(PARTS);

/** Runs all parts, or only those named. What was found is kept, whatever fails later. */
export async function benchPolicy(run: Run, only: readonly string[]): Promise<Result[]> {
  return await runParts(run, PARTS, only, undefined);
}
