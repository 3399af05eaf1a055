import { describe, expect, it } from "vitest";
import { nextPhase, type Phase, type PhaseEvent } from "./state.ts";

describe("the states of an instance", () => {
  it("go from wish to end", () => {
    const path: [PhaseEvent, Phase][] = [
      ["rolledBack", "preparing"],
      ["prepared", "claiming"],
      ["claimed", "running"],
      ["endWanted", "stopping"],
      ["cleaned", "ended"],
    ];
    let phase: Phase = "preparing";
    for (const [event, expected] of path) {
      phase = nextPhase(phase, event);
      expect(phase).toBe(expected);
    }
  });

  it("can be ended at any moment before", () => {
    for (const phase of ["preparing", "claiming", "running"] as const) {
      expect(nextPhase(phase, "endWanted")).toBe("stopping");
    }
  });

  it("never go back: a claimed sandbox is not prepared again, and ended is final", () => {
    expect(() => nextPhase("claiming", "rolledBack")).toThrow(TypeError);
    expect(() => nextPhase("running", "prepared")).toThrow(TypeError);
    for (const event of ["prepared", "claimed", "rolledBack", "endWanted", "cleaned"] as const) {
      expect(() => nextPhase("ended", event)).toThrow(TypeError);
    }
    expect(() => nextPhase("stopping", "claimed")).toThrow(TypeError);
  });
});
