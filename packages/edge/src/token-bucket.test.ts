import { describe, expect, it } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

describe("a rate", () => {
  it("is so many at once, then so many each second, and never more than at once", () => {
    let nowMs = 0;
    const bucket = new TokenBucket(3, 2, () => nowMs);
    const taken = (tries: number) => Array.from({ length: tries }, () => bucket.take()).filter(Boolean).length;
    expect(taken(5)).toBe(3);
    nowMs = 499;
    expect(taken(5)).toBe(0);
    nowMs = 500;
    expect(taken(5)).toBe(1);
    nowMs = 3_600_000;
    expect(taken(9)).toBe(3);
    nowMs = 0; // a clock that goes back gives nothing
    expect(taken(5)).toBe(0);
  });
});
