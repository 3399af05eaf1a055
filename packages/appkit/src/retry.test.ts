import { describe, expect, it } from "vitest";
import type { Clock } from "./clock.ts";
import { keepTrying } from "./retry.ts";

/** Sleeps take no time and are written down. */
function instantClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = [];
  const sleep = (ms: number, signal?: AbortSignal) => {
    slept.push(ms);
    return signal?.aborted === true ? Promise.reject(new Error("aborted")) : Promise.resolve();
  };
  return { slept, now: () => 0, monotonicMs: () => 0, sleep };
}

describe("keepTrying", () => {
  it("goes on until it works, with growing pauses", async () => {
    const clock = instantClock();
    let attempts = 0;
    const failures: unknown[] = [];
    const attempt = async () => {
      attempts += 1;
      if (attempts < 8) throw new Error(String(attempts));
    };
    await keepTrying(attempt, (error) => failures.push(error), new AbortController().signal, { clock, maxMs: 1_000 });
    expect(attempts).toBe(8);
    expect(failures).toHaveLength(7);
    expect(clock.slept.every((ms) => ms >= 50 && ms <= 1_000)).toBe(true);
    expect(Math.max(...clock.slept.slice(-2))).toBeGreaterThan(Math.max(...clock.slept.slice(0, 2)));
  });

  it("ends quietly when aborted", async () => {
    const abort = new AbortController();
    const attempt = async () => {
      abort.abort();
      throw new Error("late");
    };
    const failures: unknown[] = [];
    await keepTrying(attempt, (error) => failures.push(error), abort.signal, { clock: instantClock() });
    expect(failures).toEqual([]);
  });
});
