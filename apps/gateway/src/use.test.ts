import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Use } from "./use.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});

afterEach(() => {
  vi.useRealTimers();
});

function makeUse() {
  const told: boolean[] = [];
  const execs = { running: false };
  const use: Use = new Use({
    runsExec: () => execs.running,
    onFlip: () => told.push(use.activity.busy),
    settleMs: 100,
    clock: { monotonicMs: () => Date.now() },
  });
  return { use, told, execs };
}

it("tells use at once, and its end once it has lasted, with the moment of the last use", () => {
  const { use, told } = makeUse();
  vi.advanceTimersByTime(5);
  const end = use.beginCall(1);
  expect(told).toEqual([true]);
  expect(use.beginCall(1)).toBeUndefined();
  vi.advanceTimersByTime(40);
  expect(use.activity).toEqual({ busy: true, sinceMs: 40 });
  end?.();
  end?.(); // a second time counts nothing
  vi.advanceTimersByTime(99);
  expect(told).toEqual([true]);
  vi.advanceTimersByTime(1);
  expect(told).toEqual([true, false]);
  vi.advanceTimersByTime(20);
  expect(use.activity).toEqual({ busy: false, sinceMs: 120 });
});

it("tells a flood of short calls as one use", () => {
  const { use, told } = makeUse();
  for (let call = 0; call < 5_000; call += 1) {
    use.beginCall(10)?.();
    if (call % 10 === 0) vi.advanceTimersByTime(1);
  }
  expect(told).toEqual([true]);
  vi.advanceTimersByTime(200);
  expect(told).toEqual([true, false]);
});

it("counts connections and execs, and what outlasts another", () => {
  const { use, told, execs } = makeUse();
  const end = use.beginConnection(2);
  execs.running = true;
  use.changed();
  end?.();
  vi.advanceTimersByTime(1_000);
  expect(told).toEqual([true]);
  execs.running = false;
  expect(use.busy).toBe(false);
  use.changed();
  vi.advanceTimersByTime(100);
  expect(told).toEqual([true, false]);
});
