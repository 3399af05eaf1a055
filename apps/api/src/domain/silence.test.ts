// An outage is never a mass kill: silence is what a wakeful looker saw, and a crowd of silent workers is left alone.
import { describe, expect, it } from "vitest";
import { judgeSilence, MAX_LOOK_GAP_MS, SilenceLedger } from "./silence.ts";

const LIMITS = { unreachableAfterMs: 15_000, lostAfterMs: 300_000 };
const heard = (workerId: string, at: number) => ({ workerId, lastSeenAt: new Date(at) });

/** Looks every 5 s from `from` to `to`; the last answer. */
function watch(ledger: SilenceLedger, from: number, to: number, workers: readonly ReturnType<typeof heard>[]) {
  let silences = new Map<string, number>();
  for (let now = from; now <= to; now += 5_000) silences = ledger.look(now, workers);
  return silences;
}

describe("the ledger", () => {
  it("counts silence from when the newest sign of life was first seen", () => {
    const ledger = new SilenceLedger();
    const silences = watch(ledger, 0, 60_000, [heard("a", 7)]);
    expect(silences.get("a")).toBe(60_000);
    expect(ledger.look(61_000, [heard("a", 8)]).get("a")).toBe(0);
  });

  it("does not count what happened before it began to look, however old the sign of life", () => {
    expect(new SilenceLedger().look(1_000_000, [heard("a", -10_000_000)]).get("a")).toBe(0);
  });

  it("begins anew after a gap in its looking", () => {
    const ledger = new SilenceLedger();
    watch(ledger, 0, 290_000, [heard("a", 0)]);
    const resumed = 290_000 + MAX_LOOK_GAP_MS + 1;
    expect(ledger.look(resumed, [heard("a", 0)]).get("a")).toBe(0);
    expect(watch(ledger, resumed, resumed + 20_000, [heard("a", 0)]).get("a")).toBe(20_000);
  });

  it("is not moved by a database clock that jumps", () => {
    const ledger = new SilenceLedger();
    ledger.look(0, [heard("a", 0)]);
    expect(ledger.look(1_000, [heard("a", 3_600_000)]).get("a")).toBe(0);
    expect(ledger.look(2_000, [heard("a", 0)]).get("a")).toBe(0);
  });

  it("forgets who is no longer listed", () => {
    const ledger = new SilenceLedger();
    ledger.look(0, [heard("a", 0)]);
    ledger.look(5_000, []);
    expect(ledger.look(10_000, [heard("a", 0)]).get("a")).toBe(0);
  });
});

describe("the verdict", () => {
  const fleet = (silent: number, all: number, silence = 300_000) =>
    new Map(Array.from({ length: all }, (_, index) => [`w${index}`, index < silent ? silence : 0]));

  it.each([
    [1, 1, 0],
    [1, 2, 0],
    [1, 4, 0],
    [1, 5, 1],
    [2, 9, 0],
    [2, 10, 2],
    [10, 10, 0],
    [0, 5, 0],
  ])("on %i silent of %i gives up %i", (silent, all, lost) => {
    const verdict = judgeSilence(fleet(silent, all), LIMITS);
    expect(verdict.lost).toHaveLength(lost);
    expect(verdict.unreachable).toHaveLength(silent);
  });

  it("counts the newly silent among the crowd, and gives nobody up before the time", () => {
    const silences = fleet(1, 9);
    silences.set("w8", 15_000);
    expect(judgeSilence(silences, LIMITS)).toEqual({ unreachable: ["w0", "w8"], lost: [] });
    expect(judgeSilence(fleet(1, 5, 299_999), LIMITS)).toEqual({ unreachable: ["w0"], lost: [] });
    expect(judgeSilence(fleet(1, 5, 14_999), LIMITS)).toEqual({ unreachable: [], lost: [] });
  });
});
