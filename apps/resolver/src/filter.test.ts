// Which addresses are taken out of an answer: all of the reserved ranges, first to last, and our own; nothing beside them.
import { lastAddress, NEVER_REACHABLE, PRIVATE, parseAddress, parseCidr } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import { AddressRanges } from "./address-ranges.ts";
import { withoutForbidden } from "./filter.ts";
import { nameOf } from "./message/name.ts";
import type { DnsRecord } from "./message/records.ts";
import { TYPE } from "./message/wire.ts";

const OWNER = nameOf(["host", "example"]);

function record(family: 4 | 6, value: bigint): DnsRecord {
  const data = Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, "0"), "hex");
  return { owner: OWNER, type: family === 4 ? TYPE.A : TYPE.AAAA, ttl: 60, data };
}

function addressRecord(text: string): DnsRecord {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return record(address.family, address.value);
}

const passes = (one: DnsRecord, own = new AddressRanges([])) => withoutForbidden([one], own).records.length === 1;
const RANGES = [...NEVER_REACHABLE, ...PRIVATE].map((row) => parseCidr(row.cidr));

describe("withoutForbidden", () => {
  it.each([...NEVER_REACHABLE, ...PRIVATE])("takes out $cidr", ({ cidr }) => {
    const range = parseCidr(cidr);
    const { family, first } = range;
    const last = lastAddress(range);
    expect([first, last, (first + last) / 2n].map((value) => passes(record(family, value)))).toEqual([
      false,
      false,
      false,
    ]);
    const bits = family === 4 ? 32n : 128n;
    for (const value of [first - 1n, last + 1n]) {
      if (value < 0n || value >> bits !== 0n) continue;
      const elsewhere = RANGES.some(
        (other) => other.family === family && other.first <= value && value <= lastAddress(other),
      );
      expect(passes(record(family, value)), `${cidr}: ${value.toString(16)}`).toBe(!elsewhere);
    }
  });

  it("takes out our own machines, and lets the world through", () => {
    const own = new AddressRanges(["198.51.100.1", "2001:db8::1"]);
    const all = ["198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8::2", "8.8.8.8"].map(addressRecord);
    const { records, taken } = withoutForbidden(all, own);
    expect(records).toEqual([all[1], all[3], all[4]]);
    expect(taken).toBe(true);
    expect(withoutForbidden(records, own).taken).toBe(false);
  });

  it("looks at addresses alone", () => {
    const text: DnsRecord = { owner: OWNER, type: TYPE.TXT, ttl: 60, data: Buffer.from([3, 49, 48, 46]) };
    expect(passes(text)).toBe(true);
  });
});
