// Many sandboxes asked for at once, until every one has given its output.
import { Sandbox } from "@sallyport/sdk";
import type { Room } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare, timed } from "./stats.ts";

const COUNT = 50;
const TIMEOUT_MS = 300_000;

interface Burst {
  readonly allMs: number[];
  readonly eachMs: number[];
}

/** Each ends with its command: dozens that idle awake would take all the processor time there is, on either side. */
export async function benchBurst({ say, signal, ours, docker }: Room): Promise<Result[]> {
  say(`burst: ${COUNT} sandboxes at once`);
  const sandboxes: Sandbox[] = [];
  const mine = await burst(async () => {
    const sandbox = await Sandbox.create(["echo", "hi"], { client: ours.client, timeoutMs: TIMEOUT_MS, signal });
    sandboxes.push(sandbox);
    const { value } = await sandbox.stdout.getReader().read();
    if (value === undefined || Buffer.from(value).toString() !== "hi\n") throw new Error("no output");
  });
  await terminateAll(sandboxes);
  say(`burst: ${COUNT} containers at once`);
  const theirs = docker === undefined ? { allMs: [], eachMs: [] } : await burst(() => docker.create());
  const common = { unit: "ms", peerName: `${COUNT} × docker run --rm at once` } as const;
  return [
    compare({ ...common, name: "burst", ours: mine.allMs, peer: theirs.allMs }),
    compare({ ...common, name: "burst/each", ours: mine.eachMs, peer: theirs.eachMs }),
  ];
}

/** Makes them all at once, and lets every one come to its end. */
async function burst(make: () => Promise<void>): Promise<Burst> {
  const eachMs: number[] = [];
  const one = async () => {
    eachMs.push(await timed(make));
  };
  let outcomes: readonly PromiseSettledResult<void>[] = [];
  const allMs = await timed(async () => {
    outcomes = await Promise.allSettled(Array.from({ length: COUNT }, one));
  });
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return { allMs: [allMs], eachMs };
}

/** Ends sandboxes, some at a time. */
export async function terminateAll(sandboxes: readonly Sandbox[]): Promise<void> {
  const left = [...sandboxes];
  const work = async () => {
    for (let sandbox = left.pop(); sandbox !== undefined; sandbox = left.pop()) {
      await sandbox.terminate({ timeoutMs: TIMEOUT_MS });
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}
