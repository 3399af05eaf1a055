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

  it("takes from a network of many addresses, and not from whoever has few in another one", () => {
    const { come, crowd, shed } = makeCrowd({ max: 6 });
    const inNetwork = (subnet: number) => `2001:db8:1:${subnet}::/64`;
    come("198.51.100.1");
    come("2001:db8:2:0::/64");
    for (const subnet of [1, 2, 3, 3]) come(inNetwork(subnet));
    // One connection for each of its subnets, or nearly: all of them together are most.
    for (const subnet of [4, 5, 6, 7, 8]) expect(come(inNetwork(subnet)).isIn).toBe(true);
    expect(come("198.51.100.2").isIn).toBe(true);
    const lost = [
      [3, 5],
      [1, 3],
      [2, 4],
      [3, 6],
      [4, 7],
      [5, 8],
    ] as const;
    expect(shed).toEqual(lost.map(([subnet, number]) => `${inNetwork(subnet)}${number}`));
    expect(crowd.size).toBe(6);
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
