import { describe, expect, it } from "vitest";
import { keyOf, nameOf, readDenial } from "./prober.ts";

describe("what the kernel told of a destination", () => {
  it("names the target that was tried, however its address is spelt", () => {
    const denial = {
      destination: "64:ff9b::a9fe:a9fe",
      port: 80,
      protocol: "tcp",
      rule: "never 64:ff9b::/96",
      count: 2,
    };
    const target = { protocol: "tcp", address: "64:FF9B:0::169.254.169.254", port: 80 } as const;
    expect(readDenial(denial)).toEqual({ destination: keyOf(target), rule: "never 64:ff9b::/96" });
    expect(readDenial({ ...denial, port: 81 })?.destination).not.toBe(keyOf(target));
    expect(readDenial({ ...denial, protocol: "udp" })?.destination).not.toBe(keyOf(target));
  });

  it("has no port where the protocol has none", () => {
    const target = { protocol: "icmp", address: "198.51.100.7", port: 0 } as const;
    expect(readDenial({ destination: "198.51.100.7", protocol: "icmp", rule: "blocked" })?.destination).toBe(
      keyOf(target),
    );
    expect(nameOf(target)).toBe("icmp 198.51.100.7");
  });

  it("is met where the sandbox's own network sends it", () => {
    const mapped = { protocol: "tcp", address: "::ffff:198.51.100.7", arrivesAt: "198.51.100.7", port: 80 } as const;
    expect(keyOf(mapped)).toBe(keyOf({ protocol: "tcp", address: "198.51.100.7", port: 80 }));
  });

  it("is nothing where it names no destination", () => {
    for (const detail of [null, "never", ["never"], { more: 7 }, { destination: "198.51.100.7", protocol: "tcp" }]) {
      expect(readDenial(detail)).toBeUndefined();
    }
  });
});
