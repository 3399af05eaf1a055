// The state machine of an instance, exhaustively where it is small.
import { describe, expect, it } from "vitest";
import type { Observation, ObservedState, Outcome, Report } from "./instance-state.ts";
import { applyLoss, applyReport, sandboxState, startResult } from "./instance-state.ts";

const AT = new Date("2026-01-01T00:00:00Z");
const EXITED: Outcome = { reason: "exited", exitCode: 3 };

function observation(change: Partial<Observation> = {}): Observation {
  return {
    observed: "unseen",
    seq: 0,
    startedAt: undefined,
    endedAt: undefined,
    outcome: undefined,
    networkGeneration: 0,
    asleep: false,
    sleepFollowed: 0,
    ...change,
  };
}

function report(change: Partial<Report>): Report {
  return {
    generation: 1,
    seq: 1,
    state: "running",
    outcome: undefined,
    at: AT,
    networkGeneration: 1,
    asleep: false,
    sleepGeneration: 0,
    ...change,
  };
}

describe("sandboxState", () => {
  it.each([
    ["run", "unseen", "pending"],
    ["run", "starting", "pending"],
    ["run", "running", "running"],
    ["run", "stopping", "stopping"],
    ["run", "ended", "ended"],
    ["stop", "unseen", "stopping"],
    ["stop", "starting", "stopping"],
    ["stop", "running", "stopping"],
    ["stop", "stopping", "stopping"],
    ["stop", "ended", "ended"],
  ] as const)("shows %s and %s as %s", (wish, observed, shown) => {
    expect(sandboxState(wish, observed)).toBe(shown);
  });
});

describe("applyReport", () => {
  it("takes what is newer and keeps the first start", () => {
    const running = applyReport(observation(), report({ seq: 2 }));
    expect(running).toMatchObject({ observed: "running", seq: 2, startedAt: AT, networkGeneration: 1 });
    const later = report({ seq: 3, at: new Date(AT.getTime() + 1_000), networkGeneration: 0 });
    expect(applyReport(running ?? observation(), later)).toMatchObject({ startedAt: AT, networkGeneration: 1 });
  });

  it.each([1, 2])("ignores seq %i after seq 2", (seq) => {
    expect(
      applyReport(observation({ observed: "running", seq: 2 }), report({ seq, state: "stopping" })),
    ).toBeUndefined();
  });

  it.each(["starting", "running", "stopping", "ended"] as const)("lets no %s follow an end", (state) => {
    const ended = observation({ observed: "ended", seq: 4, endedAt: AT, outcome: EXITED });
    expect(applyReport(ended, report({ seq: 9, state }))).toBeUndefined();
  });

  it("ends with an outcome, and with one of its own where none was reported", () => {
    expect(applyReport(observation(), report({ state: "ended", outcome: EXITED }))).toMatchObject({
      endedAt: AT,
      outcome: EXITED,
      startedAt: undefined,
    });
    expect(applyReport(observation(), report({ state: "ended" }))?.outcome?.reason).toBe("init_failure");
  });

  it("sleeps as reported, wakes with its end, and follows no wish backwards", () => {
    const asleep = applyReport(observation({ sleepFollowed: 2 }), report({ asleep: true, sleepGeneration: 3 }));
    expect(asleep).toMatchObject({ asleep: true, sleepFollowed: 3 });
    const ended = report({ seq: 2, state: "ended", asleep: true, sleepGeneration: 1, outcome: EXITED });
    expect(applyReport(asleep ?? observation(), ended)).toMatchObject({ asleep: false, sleepFollowed: 3 });
  });

  it("keeps no outcome before the end", () => {
    expect(applyReport(observation(), report({ outcome: EXITED }))?.outcome).toBeUndefined();
  });
});

describe("applyLoss", () => {
  it.each(["unseen", "starting", "running", "stopping"] as const)("ends what was %s", (observed) => {
    expect(applyLoss(observation({ observed, seq: 3, asleep: true }), AT)).toMatchObject({
      observed: "ended",
      endedAt: AT,
      seq: 3,
      asleep: false,
      outcome: { reason: "lost" },
    });
  });

  it("leaves an end as it is", () => {
    expect(applyLoss(observation({ observed: "ended", endedAt: AT, outcome: EXITED }), AT)).toBeUndefined();
  });
});

describe("startResult", () => {
  it.each<[ObservedState, Date | undefined, Outcome | undefined, string | undefined]>([
    ["unseen", undefined, undefined, undefined],
    ["starting", undefined, undefined, undefined],
    ["stopping", undefined, undefined, undefined],
    ["running", AT, undefined, "started"],
    ["stopping", AT, undefined, "started"],
    ["ended", AT, { reason: "terminated", exitCode: 137 }, "started"],
    ["ended", AT, { reason: "init_failure", exitCode: 1 }, "started"],
    ["ended", undefined, EXITED, "started"],
    ["ended", undefined, { reason: "oom", exitCode: 137 }, "started"],
    ["ended", undefined, { reason: "terminated", exitCode: 137 }, "stopped"],
    ["ended", undefined, { reason: "init_failure", exitCode: 1 }, "failed"],
    ["ended", undefined, { reason: "lost", exitCode: 1 }, "failed"],
    ["ended", undefined, { reason: "exited", exitCode: 127, startErrorField: "command" }, "refused"],
    ["ended", AT, { reason: "init_failure", exitCode: 127, startErrorField: "workdir" }, "refused"],
  ])("judges %s, started %s, %o as %s", (observed, startedAt, outcome, kind) => {
    expect(startResult(observed, startedAt, outcome)?.kind).toBe(kind);
  });
});
