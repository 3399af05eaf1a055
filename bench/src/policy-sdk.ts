// How soon another policy of a running sandbox holds, as its user sees it: through the SDK, the api, the worker and its
// journal to the kernel and back, on a platform that has 10 slots and on one that has 1,000.
import { readdir } from "node:fs/promises";
import { Sandbox } from "@sallyport/sdk";
import { run as runProgram } from "./command.ts";
import { CHANGES } from "./policy-changes.ts";
import type { Run, Side } from "./room.ts";
import { COLD, pause, startSide } from "./room.ts";
import type { Result } from "./stats.ts";
import { alone, timed } from "./stats.ts";

const SIZES = [10, 1_000] as const;
const ROUNDS = 4;
/** Of each kind of change, in each round. */
const STEPS = 20;
const TARGET_MS = 25;
const NAMESPACES = "/run/netns";

/** A platform, and a sandbox of it. */
interface Place extends AsyncDisposable {
  readonly size: number;
  readonly side: Side;
  readonly sandbox: Sandbox;
}

export async function benchPolicySdk(run: Run): Promise<Result[]> {
  const { say, signal } = run;
  await using stack = new AsyncDisposableStack();
  const places: Place[] = [];
  for (const size of SIZES) places.push(stack.use(await startPlace(size, run)));
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= ROUNDS; round += 1) {
    say(`sdk: round ${round} of ${ROUNDS}`);
    for (const { name, between } of CHANGES) {
      for (const { size, sandbox } of places) {
        const taken: number[] = [];
        await sandbox.updateNetworkPolicy(between[0], { signal });
        for (let step = 1; step <= STEPS; step += 1) {
          const policy = between[step % 2] ?? between[0];
          taken.push(await timed(() => sandbox.updateNetworkPolicy(policy, { signal })));
        }
        const key = `${name}-${size}`;
        if (round > 0) samples.set(key, [...(samples.get(key) ?? []), ...taken]); // the first is a warm-up
      }
    }
  }
  return CHANGES.flatMap(({ name }) =>
    SIZES.map((size) =>
      alone({
        name: `policy/sdk-${name}-${size}`,
        unit: "ms",
        ours: samples.get(`${name}-${size}`) ?? [],
        because: `sandbox.updateNetworkPolicy, on a machine with ${size} slots`,
        target: TARGET_MS,
      }),
    ),
  );
}

/** Slots are made ahead, each with its namespace, its cable and its rules: what they lack is a sandbox. */
async function startPlace(size: number, { say, signal }: Run): Promise<Place> {
  say(`sdk: starting a platform and ${size} slots`);
  await using stack = new AsyncDisposableStack();
  const side = stack.use(await startSide({ ...COLD, SALLYPORT_SLOT_POOL: String(size - 1) }));
  const { platformId } = await side.platform.status();
  const prefix = `sp-${platformId.slice(-8)}-`;
  const slots = async () => (await readdir(NAMESPACES)).filter((name) => name.startsWith(prefix));
  // All at once: the worker, which stops within seconds, takes them away one by one.
  stack.defer(async () => {
    for (const name of await slots()) await runProgram("ip", ["netns", "del", name]);
  });
  const sandbox = stack.use(await Sandbox.create({ client: side.client, signal }));
  while ((await slots()).length < size) await pause(500, signal);
  const running = stack.move();
  return { size, side, sandbox, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
