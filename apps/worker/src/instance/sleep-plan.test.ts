import { describe, expect, it } from "vitest";
import { planSleep, type SleepFacts, type SleepStep } from "./sleep-plan.ts";
import { nextSleepState } from "./sleep-state.ts";

const NOW = 10_000;
const BUSY: SleepFacts = {
  asleep: false,
  sleepAfterMs: 1_000,
  idleTimeoutMs: 5_000,
  idleSinceMs: undefined,
  wish: { generation: 0, asleep: false },
  followed: 0,
  wakeWanted: false,
  mayEnd: true,
};

describe("what is to be done", () => {
  it.each<[string, Partial<SleepFacts>, SleepStep]>([
    ["nothing while it is used", {}, { kind: "wait", untilMs: undefined }],
    ["to wait for the nearer timer", { idleSinceMs: 9_500 }, { kind: "wait", untilMs: 10_500 }],
    ["to sleep when it has been idle", { idleSinceMs: 9_000 }, { kind: "sleep", by: "idle" }],
    ["to end when it has been idle for long", { idleSinceMs: 5_000 }, { kind: "end" }],
    ["to count idleness on asleep", { asleep: true, idleSinceMs: 8_000 }, { kind: "wait", untilMs: 13_000 }],
    ["to end asleep", { asleep: true, idleSinceMs: 5_000 }, { kind: "end" }],
    [
      "not to end what the api does not know",
      { asleep: true, idleSinceMs: 1, mayEnd: false },
      { kind: "wait", untilMs: undefined },
    ],
    [
      "nothing without timers",
      { idleSinceMs: 0, sleepAfterMs: undefined, idleTimeoutMs: undefined },
      { kind: "wait", untilMs: undefined },
    ],
    ["to wake for whoever waits", { asleep: true, wakeWanted: true, idleSinceMs: 1 }, { kind: "wake", by: "use" }],
    ["to let go on who waits for one that is awake", { wakeWanted: true }, { kind: "resume" }],
    ["to sleep by hand though it is used", { wish: { generation: 1, asleep: true } }, { kind: "sleep", by: "hand" }],
    [
      "to wake by hand",
      { asleep: true, wish: { generation: 2, asleep: false }, followed: 1 },
      { kind: "wake", by: "hand" },
    ],
    [
      "to note a wish that is fulfilled",
      { asleep: true, wish: { generation: 2, asleep: true }, followed: 1 },
      { kind: "note" },
    ],
    [
      "to follow a wish once",
      { wish: { generation: 1, asleep: true }, followed: 1 },
      { kind: "wait", untilMs: undefined },
    ],
  ])("is %s", (_what, facts, step) => {
    expect(planSleep({ ...BUSY, ...facts }, NOW)).toEqual(step);
  });
});

it("knows no step that is not drawn", () => {
  expect(nextSleepState("awake", "tired")).toBe("suspending");
  expect(nextSleepState("waking", "failed")).toBe("asleep");
  expect(() => nextSleepState("awake", "frozen")).toThrow(TypeError);
});
