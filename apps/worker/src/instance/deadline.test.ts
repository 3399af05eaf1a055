import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Deadline } from "./deadline.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

it("passes at its moment, however far away, unless it was put off or cleared", () => {
  const passed = vi.fn();
  const deadline = new Deadline({ now: () => Date.now() }, passed);
  const monthMs = 30 * 24 * 3_600_000; // longer than a timer can wait
  deadline.set(1_000 + monthMs);
  vi.advanceTimersByTime(monthMs - 1);
  expect(passed).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(passed).toHaveBeenCalledOnce();
  deadline.set(Date.now() + 10);
  deadline.clear();
  vi.advanceTimersByTime(100);
  expect(passed).toHaveBeenCalledOnce();
  deadline.set(Date.now() - 10);
  vi.advanceTimersByTime(0);
  expect(passed).toHaveBeenCalledTimes(2);
});
