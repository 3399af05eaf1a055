import { describe, expect, it } from "vitest";
import type { CrowdOptions, Member } from "./crowd.ts";
import { Crowd } from "./crowd.ts";

function makeCrowd(options: CrowdOptions) {
  const crowd = new Crowd(options);
  const shed: string[] = [];
  let count = 0;
  const come = (group: string, sinceMs = 0): { member: Member; isIn: boolean } => {
    count += 1;
    const name = `${group}${count}`;
    const member = { group, sinceMs, shed: () => shed.push(name) };
    return { member, isIn: crowd.admit(member) };
  };
  return { crowd, come, shed };
}

describe("Crowd", () => {
  it("lets nobody keep all places: whoever comes takes the oldest of whoever has most", () => {
    const { come, crowd, shed } = makeCrowd({ max: 4 });
    for (let count = 0; count < 4; count += 1) expect(come("a").isIn).toBe(true);
    expect(come("a").isIn).toBe(false);
    expect([come("b").isIn, come("c").isIn]).toEqual([true, true]);
    expect([shed, crowd.size]).toEqual([["a1", "a2"], 4]);
  });

  it("sheds whoever was there first among equals, and its own last", () => {
    const { come, shed } = makeCrowd({ max: 3 });
    for (const group of ["a", "b", "c"]) come(group);
    expect([come("d").isIn, come("b").isIn]).toEqual([true, true]);
    expect(shed).toEqual(["a1", "c3"]);
  });

  it("leaves alone who is proven, as long as it has a connection", () => {
    const { come, crowd, shed } = makeCrowd({ max: 2 });
    const first = come("a");
    const second = come("a");
    crowd.prove("a");
    expect(come("b").isIn).toBe(false);
    crowd.leave(first.member);
    crowd.leave(second.member);
    for (const group of ["a", "a", "b"]) expect(come(group).isIn).toBe(true);
    expect(shed).toEqual(["a4"]);
  });

  it("lets whoever has most replace its own that are old enough", () => {
    const { come, shed } = makeCrowd({ max: 2, ownAfterMs: 1_000 });
    come("a", 0);
    come("a", 500);
    expect([come("a", 999).isIn, come("a", 1_000).isIn, come("a", 1_400).isIn]).toEqual([false, true, false]);
    expect(shed).toEqual(["a1"]);
  });

  it("bounds each group, and counts every leave once", () => {
    const { come, crowd } = makeCrowd({ max: 10, maxPerGroup: 2 });
    const { member } = come("a");
    come("a");
    expect([come("a").isIn, come("b").isIn]).toEqual([false, true]);
    crowd.leave(member);
    crowd.leave(member);
    expect([crowd.size, come("a").isIn, come("a").isIn]).toEqual([2, true, false]);
  });
});
