import { systemClock } from "@sallyport/appkit/clock";
import { expect, it } from "vitest";
import { Changes, keepUp } from "./keep-up.ts";

it("does the step now, after each change, and again when it failed, until it is aborted", async () => {
  const changes = new Changes();
  const abort = new AbortController();
  const failures: unknown[] = [];
  let steps = 0;
  const keeping = keepUp(
    async () => {
      steps += 1;
      if (steps === 2) throw new Error("not yet");
    },
    {
      changes,
      clock: { ...systemClock, sleep: async () => {} },
      signal: abort.signal,
      onFailure: (error) => failures.push(error),
    },
  );
  await expect.poll(() => steps).toBe(1);
  changes.announce();
  await expect.poll(() => steps).toBe(3);
  expect(failures).toHaveLength(1);
  abort.abort(new Error("over"));
  await expect(keeping).rejects.toThrow("over");
});

it("does not miss a change that comes during a step", async () => {
  const changes = new Changes();
  const abort = new AbortController();
  const first = Promise.withResolvers<void>();
  let steps = 0;
  const keeping = keepUp(
    async () => {
      steps += 1;
      if (steps === 1) await first.promise;
    },
    { changes, clock: systemClock, signal: abort.signal, onFailure: () => {} },
  );
  changes.announce();
  first.resolve();
  await expect.poll(() => steps).toBe(2);
  abort.abort(new Error("over"));
  await expect(keeping).rejects.toThrow("over");
});
