// That strangers do not decide how long the log is, and all that were turned away are in it.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { REFUSAL_LINES_BURST, REFUSAL_LINES_PER_SECOND, REFUSALS_APART, REFUSALS_TOLD_MS } from "./limits.ts";
import type { Refusal } from "./refusals.ts";
import { Refusals } from "./refusals.ts";

const ONE = { sandboxId: "sb-1", port: 80, kind: "tls", refusal: "alpn", peer: "198.51.100.1" } as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function start() {
  const time = { nowMs: 0 };
  const lines: Refusal[] = [];
  const refusals = new Refusals(
    (line) => lines.push(line),
    () => time.nowMs,
  );
  const add = (count: number, more: Partial<Omit<Refusal, "times">> = {}) => {
    for (let at = 0; at < count; at += 1) refusals.add({ ...ONE, ...more });
  };
  return { add, lines, refusals, time };
}

const total = (lines: readonly Refusal[]) => lines.reduce((sum, { times }) => sum + times, 0);

it("gives each a line with its client while they are few", () => {
  const { add, lines, time } = start();
  add(REFUSAL_LINES_BURST);
  time.nowMs += 1_000;
  add(REFUSAL_LINES_PER_SECOND);
  expect(lines).toEqual(Array(REFUSAL_LINES_BURST + REFUSAL_LINES_PER_SECOND).fill({ ...ONE, times: 1 }));
});

it("tells of many by port and reason, with their number, and begins anew then", () => {
  const { add, lines } = start();
  add(REFUSAL_LINES_BURST);
  lines.length = 0;
  add(1_000);
  add(500, { peer: "198.51.100.2" });
  add(7, { refusal: "sandbox" });
  add(3, { port: 81, kind: "raw" });
  expect(lines).toEqual([]);
  vi.advanceTimersByTime(REFUSALS_TOLD_MS);
  const many = { ...ONE, peer: undefined };
  expect(lines).toEqual([
    { ...many, times: 1_500 },
    { ...many, refusal: "sandbox", times: 7 },
    { ...many, port: 81, kind: "raw", times: 3 },
  ]);
  lines.length = 0;
  vi.advanceTimersByTime(10 * REFUSALS_TOLD_MS);
  expect(lines).toEqual([]);
  add(2);
  vi.advanceTimersByTime(REFUSALS_TOLD_MS);
  expect(lines).toEqual([{ ...many, times: 2 }]);
});

it("tells only so many apart, and counts the rest", () => {
  const { add, lines } = start();
  add(REFUSAL_LINES_BURST);
  lines.length = 0;
  const different = 3 * REFUSALS_APART;
  for (let number = 0; number < different; number += 1) add(2, { sandboxId: `sb-${number}` });
  vi.advanceTimersByTime(REFUSALS_TOLD_MS);
  expect(lines).toHaveLength(REFUSALS_APART + 1);
  expect(lines.at(-1)).toEqual({ times: 4 * REFUSALS_APART });
  expect(total(lines)).toBe(2 * different);
});

it("tells of the rest at its end", () => {
  const { add, lines, refusals } = start();
  add(REFUSAL_LINES_BURST + 9);
  refusals[Symbol.dispose]();
  expect(total(lines)).toBe(REFUSAL_LINES_BURST + 9);
  expect(vi.getTimerCount()).toBe(0);
});
