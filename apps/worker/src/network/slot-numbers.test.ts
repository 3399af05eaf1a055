// Numbers go round, rest, and never share a mark.

import { describe, expect, it } from "vitest";
import { REST_MS, SlotNumbers } from "./slot-numbers.ts";

function numbers(slotCount: number, lives = 0): { numbers: SlotNumbers; pass: (ms: number) => void } {
  let now = 1000;
  return {
    numbers: new SlotNumbers({ lives, slotCount, monotonicMs: () => now }),
    pass: (ms) => {
      now += ms;
    },
  };
}

describe("SlotNumbers", () => {
  it("gives each number once, then none", () => {
    const { numbers: all } = numbers(3);
    expect([all.next().slot, all.next().slot, all.next().slot]).toEqual([0, 1, 2]);
    expect(() => all.next()).toThrow(expect.objectContaining({ code: "NoSlotLeft" }));
  });

  it("lets a number rest for a minute, then gives it with another mark", () => {
    const { numbers: all, pass } = numbers(1);
    const first = all.next();
    all.release(first.slot);
    pass(REST_MS - 1);
    expect(() => all.next()).toThrow(expect.objectContaining({ code: "NoSlotLeft" }));
    pass(1);
    const second = all.next();
    expect(second.slot).toBe(first.slot);
    expect(second.mark).not.toBe(first.mark);
  });

  it("goes on round the circle, past what an earlier run left in use", () => {
    const { numbers: all } = numbers(4, 6);
    all.occupy(3);
    expect(all.next()).toEqual({ slot: 2, mark: 7 });
    expect(all.next().slot).toBe(0);
    expect(all.lives).toBe(9);
  });

  it("never gives mark 0", () => {
    const { numbers: all } = numbers(16, 0x7fff_ffff);
    expect(all.next().mark).toBe(1);
  });

  it("rests only what was in use", () => {
    const { numbers: all } = numbers(2);
    all.release(0);
    expect(all.next().slot).toBe(0);
  });
});
