// Sets of addresses against the plain way of looking through all of them.
import { type Cidr, cidrContains, formatCidr, lastAddress } from "@sallyport/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AddressRanges } from "./address-ranges.ts";

/** CIDRs of a small corner of the space, so that they meet. */
const cidr: fc.Arbitrary<Cidr> = fc
  .tuple(fc.constantFrom<4 | 6>(4, 6), fc.nat(255), fc.integer({ min: 0, max: 8 }))
  .map(([family, low, length]) => {
    const bits = family === 4 ? 32 : 128;
    const base = family === 4 ? 0xc633_6400n : 0x2001_0db8n << 96n;
    const mask = (1n << BigInt(length)) - 1n;
    return { family, first: (base | BigInt(low)) & ~mask, prefix: bits - length };
  });

describe("AddressRanges", () => {
  it("holds what any of its CIDRs holds, and nothing else", () => {
    fc.assert(
      fc.property(fc.array(cidr, { maxLength: 12 }), cidr, (cidrs, probe) => {
        const ranges = new AddressRanges(cidrs.map(formatCidr));
        const inSome = (value: bigint) =>
          cidrs.some((one) =>
            cidrContains(one, { family: probe.family, first: value, prefix: probe.family === 4 ? 32 : 128 }),
          );
        const size = lastAddress(probe) - probe.first;
        const all = Array.from({ length: Number(size) + 1 }, (_, index) => probe.first + BigInt(index));
        for (const value of all) expect(ranges.has(probe.family, value)).toBe(inSome(value));
        expect(ranges.contains(probe)).toBe(all.every(inSome));
      }),
      { numRuns: 500 },
    );
  });
});
