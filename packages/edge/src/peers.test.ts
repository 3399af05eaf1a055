import { describe, expect, it } from "vitest";
import { plainAddress, trustedPeers } from "./peers.ts";

describe("an address of a peer", () => {
  it.each([
    ["198.51.100.7", "198.51.100.7"],
    ["::ffff:198.51.100.7", "198.51.100.7"],
    ["::ffff:198.51.100.7%eth0", "198.51.100.7"],
    ["2001:db8::7", "2001:db8::7"],
    ["fe80::7%eth0", "fe80::7"],
    ["::ffff:x", "::ffff:x"],
    ["", ""],
  ])("%j is plainly %j", (address, plain) => {
    expect(plainAddress(address)).toBe(plain);
  });
});

describe("the operator's proxies", () => {
  it("are none unless listed", () => {
    expect(trustedPeers([])("127.0.0.1")).toBe(false);
  });

  it("are addresses and CIDRs of either family", () => {
    const trusts = trustedPeers(["10.0.0.0/8", "127.0.0.1", "2001:db8::/32", "::1", "198.51.100.0/25"]);
    for (const one of ["10.1.2.3", "127.0.0.1", "::ffff:127.0.0.1", "2001:db8::7", "::1", "198.51.100.127"]) {
      expect([one, trusts(one)]).toEqual([one, true]);
    }
    for (const one of [
      "11.0.0.1",
      "127.0.0.2",
      "2001:db9::1",
      "::2",
      "198.51.100.128",
      "",
      "10.0.0.0/8",
      "x",
      "::ffff:9.9.9.9",
    ]) {
      expect([one, trusts(one)]).toEqual([one, false]);
    }
  });

  it.each([
    "",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "::/129",
    "a.example",
    "10.0.0.0/-1",
    "10.0.0.0/1e1",
    "0.0.0.0/0",
    "::/0",
  ])("are not %j", (entry) => {
    expect(() => trustedPeers(["::1", entry])).toThrow(RangeError);
  });
});
