// How soon the kernel has another policy of one slot, among 10 slots and among 1,000: from the worker's rule data to the
// kernel's answer, in a namespace of the benchmark's own.
import { randomBytes } from "node:crypto";
import { run as runProgram } from "./command.ts";
import { CHANGES, CROWD } from "./policy-changes.ts";
import { PolicyChild } from "./policy-child.ts";
import { crowdOptions, randomPlatformId } from "./policy-world.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { alone } from "./stats.ts";

const SIZES = [10, 1_000] as const;
const ROUNDS = 4;
/** Of each kind of change, in each round. */
const STEPS = 40;
const TARGET_MS = 5;

export async function benchPolicyKernel({ say, signal }: Run): Promise<Result[]> {
  await using stack = new AsyncDisposableStack();
  const namespace = `spp${randomBytes(3).toString("hex")}`;
  await runProgram("ip", ["netns", "add", namespace]);
  stack.defer(async () => {
    await runProgram("ip", ["netns", "del", namespace]);
  });
  const crowd = stack.use(new PolicyChild("crowd", namespace, crowdOptions(randomPlatformId())));
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const size of SIZES) {
      signal.throwIfAborted();
      say(`kernel: round ${round} of ${ROUNDS}, ${size} slots`);
      await crowd.call("load", size, CROWD);
      for (const { name, between } of CHANGES) {
        const taken: number[] = [];
        await crowd.call("change", 0, between[0]);
        for (let step = 1; step <= STEPS; step += 1) {
          taken.push(await crowd.call<number>("change", 0, between[step % 2]));
        }
        const key = `${name}-${size}`;
        if (round > 0) samples.set(key, [...(samples.get(key) ?? []), ...taken]); // the first is a warm-up
      }
    }
  }
  return CHANGES.flatMap(({ name }) =>
    SIZES.map((size) =>
      alone({
        name: `policy/kernel-${name}-${size}`,
        unit: "ms",
        ours: samples.get(`${name}-${size}`) ?? [],
        because: `another policy of one slot among ${size}, until the kernel has it`,
        target: TARGET_MS,
      }),
    ),
  );
}
