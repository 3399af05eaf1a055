// Five hundred sandboxes come and go: the platform holds afterwards what it held before.
import { Client, Sandbox } from "@sallyport/sdk";
import { startPlatform } from "@sallyport/testkit/platform";
import { expect, it } from "vitest";
import { type Holdings, holdingsOf } from "./holdings.ts";

/** So many that heaps have grown to their working size. */
const WARM_UP = 150;
const CYCLES = 500;
const AT_ONCE = 4;
/** The gateway knows what an ended sandbox ran for as long as its output can be read. */
const KEPT_MIB = 0.05;
/** What garbage collection, caches and connections may make of it. Five hundred leaks of anything are beyond. */
const SLACK = { memoryMiB: 60, descriptors: 20, counts: 20, rules: 60, diskKiB: 40_000 } as const;

it(`holds after ${CYCLES} cycles of create and terminate what it held before`, async () => {
  await using platform = await startPlatform();
  const { token } = await platform.createWorkspace("soak");
  await using client = new Client({ url: platform.apiUrl, token });
  await cycle(client, WARM_UP);
  const before = await settled(() => holdingsOf(platform));
  await cycle(client, CYCLES);
  const after = await settled(() => holdingsOf(platform));
  console.log(JSON.stringify({ before, after }, undefined, 2));

  for (const [name, memory] of Object.entries(after.memoryMiB)) {
    const kept = name === "gateway" ? CYCLES * KEPT_MIB : 0;
    expect(memory, `memory of ${name}`).toBeLessThanOrEqual((before.memoryMiB[name] ?? 0) + SLACK.memoryMiB + kept);
  }
  for (const [name, descriptors] of Object.entries(after.descriptors)) {
    expect(descriptors, `descriptors of ${name}`).toBeLessThanOrEqual(
      (before.descriptors[name] ?? 0) + SLACK.descriptors,
    );
  }
  for (const name of ["namespaces", "links", "mounts", "loopDevices", "cgroups", "processes"] as const) {
    expect(after[name], name).toBeLessThanOrEqual(before[name] + SLACK.counts);
  }
  expect(after.rules, "rules").toBeLessThanOrEqual(before.rules + SLACK.rules);
  expect(after.diskKiB, "disk").toBeLessThanOrEqual(before.diskKiB + SLACK.diskKiB);
});

async function cycle(client: Client, cycles: number): Promise<void> {
  let left = cycles;
  const lane = async () => {
    while (left-- > 0) {
      await using sandbox = await Sandbox.create({ client, network: left % 2 === 0 ? "open" : "blocked" });
      expect((await sandbox.run(["echo", "hello"])).stdout).toBe("hello\n");
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

/** Looks until nothing changes any more but memory: ends are cleaned up in the background. */
async function settled(look: () => Promise<Holdings>): Promise<Holdings> {
  const countsOf = ({ memoryMiB, diskKiB, ...counts }: Holdings) => ({
    counts: JSON.stringify(counts),
    memoryMiB,
    diskKiB,
  });
  let last = await look();
  for (let round = 0; round < 60; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const now = await look();
    if (countsOf(now).counts === countsOf(last).counts) return now;
    last = now;
  }
  return last;
}
