// Names as the laxest reader sees them, and that remembering them is bounded and changes nothing.
import { describe, expect, it } from "vitest";
import { flatName, rememberedByName } from "./header-names.ts";

describe("a name", () => {
  it.each([
    ["X-Verified-User-Data", "x-verified-user-data"],
    ["x_VERIFIED.user~data", "x-verified-user-data"],
    ["_X--Verified_", "x-verified"],
    ["!#$%&'*+.^_`|~", ""],
    ["a", "a"],
    ["\xe4b", "b"],
  ])("%s is %s", (name, flat) => {
    expect(flatName(name)).toBe(flat);
  });

  it("has one fate, worked out once, however many others come", () => {
    const worked = new Map<string, number>();
    const fateOf = rememberedByName((name) => {
      worked.set(name, (worked.get(name) ?? 0) + 1);
      return name.length;
    });
    const long = "L".repeat(65);
    for (let round = 0; round < 3; round += 1) {
      expect(fateOf("Host")).toBe(4);
      expect(fateOf(long)).toBe(65);
    }
    expect([worked.get("Host"), worked.get(long)]).toEqual([1, 3]);
    for (let at = 0; at < 5_000; at += 1) expect(fateOf(`X-${at}`)).toBe(`X-${at}`.length);
    expect(fateOf("Host")).toBe(4);
    expect(worked.get("Host")).toBe(2);
  });
});
