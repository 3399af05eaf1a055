// How soon another policy of a running sandbox holds, as its user sees it: through the SDK, the api, the worker and its
// journal to the kernel and back, among 10 slots and among 1,000.
import { Sandbox } from "@sallyport/sdk";
import type { Policy } from "./policy-changes.ts";
import { CHANGES, CROWD } from "./policy-changes.ts";
import { PolicyChild } from "./policy-child.ts";
import { crowdOptions } from "./policy-world.ts";
import type { Run } from "./room.ts";
import { COLD, startSide } from "./room.ts";
import type { Result } from "./stats.ts";
import { alone, timed } from "./stats.ts";

/** Slots without sandboxes that join the one that is changed. */
const CROWDS = [10, 1_000] as const;
const ROUNDS = 3;
const STEPS = 20;
const TARGET_MS = 25;

export async function benchPolicySdk({ say, signal }: Run): Promise<Result[]> {
  say("starting a platform");
  await using side = await startSide(COLD);
  const { platformId } = await side.platform.status();
  await using sandbox = await Sandbox.create({ client: side.client, signal });
  await using crowd = new PolicyChild("crowd", `sp-${platformId.slice(-8)}`, crowdOptions(platformId));
  const samples = new Map<string, number[]>();
  const change = (policy: Policy) => timed(() => sandbox.updateNetworkPolicy(policy, { signal }));
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const size of CROWDS) {
      say(`sdk: round ${round} of ${ROUNDS}, ${size} slots`);
      await crowd.call("join", size, CROWD);
      for (const { name, between } of CHANGES) {
        const taken: number[] = [];
        await change(between[0]);
        for (let step = 1; step <= STEPS; step += 1) taken.push(await change(between[step % 2] ?? between[0]));
        const key = `${name}-${size}`;
        if (round > 0) samples.set(key, [...(samples.get(key) ?? []), ...taken]); // the first is a warm-up
      }
    }
  }
  await crowd.call("leave");
  return CHANGES.flatMap(({ name }) =>
    CROWDS.map((size) =>
      alone({
        name: `policy/sdk-${name}-${size}`,
        unit: "ms",
        ours: samples.get(`${name}-${size}`) ?? [],
        because: `sandbox.updateNetworkPolicy, with ${size} more slots in the router`,
        target: TARGET_MS,
      }),
    ),
  );
}
