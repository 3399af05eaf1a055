import { describe, expect, it } from "vitest";
import { readVerdict } from "./inside.ts";

describe("the verdict of a probe", () => {
  it("is the line that carries its mark", () => {
    const stdout = `noise\n{"mark": "m1", "held": true, "seen": "EPERM"}\n`;
    expect(readVerdict(stdout, "m1")).toEqual({ held: true, seen: "EPERM" });
  });

  it("is none where the mark is another's, or there is no line of ours", () => {
    expect(readVerdict(`{"mark": "m2", "held": true, "seen": "x"}`, "m1")).toBeUndefined();
    expect(readVerdict(`{"mark": "m1", "held": "yes", "seen": "x"}\nnull\n[1]\n`, "m1")).toBeUndefined();
  });

  it("is bounded in length", () => {
    const seen = readVerdict(JSON.stringify({ mark: "m", held: false, seen: "a".repeat(5_000) }), "m")?.seen;
    expect(seen?.length).toBe(301);
  });
});
