// What users read of a denial, and that what the reader says is not believed.

import { describe, expect, it } from "vitest";
import { readDenial } from "./denial-record.ts";
import { type DenialContext, type DeniedPacket, denialWords } from "./denial-words.ts";
import { DEFAULT_SLOT_LIMITS } from "./slot-limits.ts";

const CONTEXT: DenialContext = {
  mode: "allow",
  limits: { ...DEFAULT_SLOT_LIMITS, connections: 77 },
  ownAddresses: ["198.51.100.1/32"],
};
const PACKET: DeniedPacket = { prefix: "policy", destination: "198.51.100.7", protocol: 6, port: 443 };

describe("the words of a denial", () => {
  it.each<[Partial<DeniedPacket>, DenialContext["mode"], string, RegExp]>([
    [{}, "allow", "unlisted", /198\.51\.100\.7.*tcp.*443/],
    [{ protocol: 17, port: 0 }, "allow", "unlisted", /198\.51\.100\.7/],
    [{ protocol: 132, port: undefined }, "allow", "unlisted", /198\.51\.100\.7/],
    [{ protocol: 1, port: undefined }, "allow", "unlisted", /icmp/],
    [{}, "blocked", "blocked", /open/],
    [{ destination: "10.1.2.3" }, "allow", "private 10.0.0.0/8", /grant/],
    [{ destination: "10.1.2.3" }, "open", "private 10.0.0.0/8", /grant/],
    [{ prefix: "never", destination: "169.254.169.254" }, "open", "never 169.254.0.0/16", /^$/],
    [{ prefix: "never", destination: "100.64.0.1" }, "blocked", "never 100.64.0.0/10", /^$/],
    [{ prefix: "never", destination: "198.51.100.1" }, "open", "never host", /^$/],
    [{ prefix: "never", destination: "2001:db8::77" }, "open", "never host", /^$/],
    [{}, "open", "blocked", /^$/],
    [{ prefix: "look-up", destination: "100.64.0.1", port: 53 }, "blocked", "blocked", /dns/],
    [{ prefix: "look-up", destination: "100.64.0.1", port: 53 }, "allow", "unlisted", /dns/],
    [{ prefix: "connections" }, "open", "limit connections", /77/],
    [{ prefix: "rate" }, "open", "limit rate", /1000.*200000/],
  ])("%j under %s: %s", (packet, mode, rule, hint) => {
    const told = denialWords({ ...PACKET, ...packet }, { ...CONTEXT, mode });
    expect(told.rule).toBe(rule);
    expect(told.hint).toMatch(hint);
  });
});

describe("a record", () => {
  const bytes = (): Buffer => {
    const record = Buffer.alloc(80);
    record.set([1, 4, 6, 1, 0x01, 0xbb]);
    record.write("slot12", 8);
    record.write("policy", 24);
    record.set([198, 51, 100, 7], 64);
    return record;
  };
  const changed = (change: (record: Buffer) => void): Buffer => {
    const record = bytes();
    change(record);
    return record;
  };

  it("is read", () => {
    expect(readDenial(bytes())).toEqual({ ...PACKET, slot: 12 });
    const six = changed((record) => {
      record.set([1, 6, 58, 2]);
      record.set([0x20, 0x01, 0x0d, 0xb8], 64);
    });
    expect(readDenial(six)).toEqual({
      slot: 12,
      prefix: "policy",
      destination: "2001:db8::",
      protocol: 58,
      port: undefined,
    });
  });

  it.each<[string, (record: Buffer) => void]>([
    ["another version", (record) => record.writeUInt8(2)],
    ["another family", (record) => record.writeUInt8(5, 1)],
    ["an interface that is no slot's", (record) => record.write("uplink\0", 8)],
    ["a number that is too long", (record) => record.write("slot123456", 8)],
    ["a number with a sign", (record) => record.write("slot-1\0", 8)],
    ["a number that is not plain", (record) => record.write("slot012\0", 8)],
    ["an unknown word", (record) => record.write("allowed\0", 24)],
    ["a word with more behind it", (record) => record.write("policy\n\0", 24)],
    ["no word", (record) => record.fill(0, 24, 48)],
  ])("is none with %s", (_, change) => {
    expect(readDenial(changed(change))).toBeUndefined();
  });
});
