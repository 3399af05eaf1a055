// The tricky forms of CIDR text, one row each, and the canonical spelling of the good ones.

import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import {
  cidrContains,
  cidrsOverlap,
  formatAddress,
  formatCidr,
  lastAddress,
  PolicyError,
  parseAddress,
  parseCidr,
} from "./index.ts";

const refused: readonly (readonly [text: unknown, why: string])[] = [
  ["", "empty"],
  ["198.51.100.0/", "empty prefix"],
  ["/24", "no address"],
  ["198.51.100.1/24", "host bits set"],
  ["2001:db8::1/32", "host bits set"],
  ["198.51.100.0/33", "prefix too long"],
  ["2001:db8::/129", "prefix too long"],
  ["198.51.100.0/-1", "negative prefix"],
  ["198.51.100.0/+24", "signed prefix"],
  ["198.51.100.0/024", "leading zero in the prefix"],
  ["198.51.100.0/2 4", "space in the prefix"],
  ["198.51.100.0/24/24", "two prefixes"],
  ["198.51.100.0/255.255.255.0", "netmask"],
  ["198.51.100.0/0x18", "hexadecimal prefix"],
  ["198.51.100.0/２４", "full-width digits"],
  ["198.51.100/24", "three octets"],
  ["198.51/16", "short form"],
  ["127.1", "short form of inet_aton"],
  ["3325256704", "one number"],
  ["0xc6336400", "one hexadecimal number"],
  ["0xc6.0x33.0x64.0", "hexadecimal octets"],
  ["0306.063.0144.0", "octal octets"],
  ["198.051.100.0/24", "leading zero"],
  ["198.51.100.00/24", "leading zero"],
  ["198.51.100.256", "octet over 255"],
  ["198.51.100.0.0/24", "five octets"],
  ["198.51.100.-1", "negative octet"],
  ["198.51..0", "empty octet"],
  ["198.51.100.0.", "trailing dot"],
  [" 198.51.100.0/24", "leading white space"],
  ["198.51.100.0/24 ", "trailing white space"],
  ["198.51.100.0/24\n", "trailing newline"],
  ["198.51.100.0\u0000/24", "NUL"],
  ["198.51.100.*", "wildcard"],
  ["198.51.100.1-198.51.100.9", "range"],
  ["::ffff:198.51.100.1", "mapped, dotted"],
  ["::ffff:198.51.100.0/120", "mapped network, dotted"],
  ["::198.51.100.1", "compatible, dotted"],
  ["64:ff9b::198.51.100.1", "NAT64, dotted"],
  ["fe80::1%eth0", "zone id"],
  ["2001:db8::%1/64", "zone id"],
  ["2001:db8::1::1", "two gaps"],
  ["2001:db8:::1", "three colons"],
  [":", "one colon"],
  [":1", "leading colon"],
  ["1:", "trailing colon"],
  ["1:2:3:4:5:6:7", "seven groups"],
  ["1:2:3:4:5:6:7:8:9", "nine groups"],
  ["1:2:3:4::5:6:7:8", "a gap of nothing"],
  ["2001:0db80::/32", "five digits"],
  ["2001:dbg::/32", "not hexadecimal"],
  ["[2001:db8::]/32", "brackets"],
  ["2001:db8::/٣٢", "Arabic digits"],
  ["localhost", "a name"],
  ["example.com/24", "a name"],
  [`${"0".repeat(100_000)}/8`, "very long"],
  [24, "a number"],
  [null, "null"],
  [{ cidr: "198.51.100.0/24" }, "an object"],
];

const accepted: readonly (readonly [text: string, canonical: string])[] = [
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["198.51.100.0/24", "198.51.100.0/24"],
  ["198.51.100.7", "198.51.100.7/32"],
  ["255.255.255.255/32", "255.255.255.255/32"],
  ["::/0", "::/0"],
  ["2001:DB8::/32", "2001:db8::/32"],
  ["2001:0db8:0000:0000:0000:0000:0000:0000/32", "2001:db8::/32"],
  ["2001:db8::1", "2001:db8::1/128"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1/128"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1/128"],
  ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1/128"],
  ["::1", "::1/128"],
  ["1::", "1::/128"],
  ["::ffff:c633:6401", "::ffff:c633:6401/128"],
];

describe("parseCidr", () => {
  it.each(refused)("refuses %j (%s)", (text) => {
    let caught: unknown;
    try {
      parseCidr(text, "network.allow[3]");
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(PolicyError);
    expect(caught).toMatchObject({ code: "InvalidPolicy", field: "network.allow[3]" });
    expect(String(caught)).toMatch(/^[\x20-\x7e…]*$/);
    expect(String(caught).length).toBeLessThan(200);
  });

  it.each(accepted)("reads %s as %s", (text, canonical) => {
    expect(formatCidr(parseCidr(text))).toBe(canonical);
    expect(formatCidr(parseCidr(canonical))).toBe(canonical);
  });

  it("says which network was meant where host bits are set", () => {
    expect(() => parseCidr("198.51.100.7/24")).toThrow(
      expect.objectContaining({ hint: "198.51.100.0/24 is the network, 198.51.100.7/32 the one host" }),
    );
  });
});

describe("a refusal", () => {
  it.each([
    ["198.51.100", "is not an IPv4 CIDR", "198.51.100.0/24"],
    ["2001:db8::/32:", "has no prefix length from 0 to 128", undefined],
    ["2001:db8:", "is not an IPv6 CIDR", "2001:db8::/32"],
    ["198.51.100.0/33", "has no prefix length from 0 to 32", undefined],
    ["fe80::1%eth0", "carries a zone id", "one machine"],
    ["::ffff:198.51.100.1", "hides an IPv4 address", "the IPv4 CIDR itself"],
    [`${"0000:".repeat(8)}0000/128`, "is too long", undefined],
  ])("of %j says that it %s", (text, words, hint) => {
    const error = failure(() => parseCidr(text));
    expect(error.field).toBe("cidr");
    expect(error.message).toContain(words);
    expect(error.hint).toEqual(hint === undefined ? undefined : expect.stringContaining(hint));
  });
});

describe("relations", () => {
  const contains = (outer: string, inner: string): boolean => cidrContains(parseCidr(outer), parseCidr(inner));
  const overlap = (left: string, right: string): boolean => cidrsOverlap(parseCidr(left), parseCidr(right));

  it("contains within one family only", () => {
    expect(contains("198.51.0.0/16", "198.51.100.0/24")).toBe(true);
    expect(contains("198.51.100.0/24", "198.51.100.0/24")).toBe(true);
    expect(contains("198.51.100.0/24", "198.51.0.0/16")).toBe(false);
    expect(contains("0.0.0.0/0", "::/0")).toBe(false);
    expect(contains("::/0", "0.0.0.0/0")).toBe(false);
  });

  it("overlaps both ways", () => {
    expect(overlap("10.0.0.0/8", "10.1.0.0/16")).toBe(true);
    expect(overlap("10.1.0.0/16", "10.0.0.0/8")).toBe(true);
    expect(overlap("10.0.255.255", "10.0.0.0/16")).toBe(true);
    expect(overlap("10.0.0.0/16", "10.0.255.255")).toBe(true);
    expect(overlap("10.0.0.0/16", "10.1.0.0/16")).toBe(false);
    expect(overlap("10.1.0.0/16", "10.0.0.0/16")).toBe(false);
    expect(overlap("::a00:0/104", "10.0.0.0/8")).toBe(false);
    expect(overlap("0.0.0.0/0", "::/0")).toBe(false);
  });

  it("knows the last address", () => {
    expect(formatAddress({ family: 6, value: lastAddress(parseCidr("2001:db8::/32")) })).toBe(
      "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    );
  });
});

describe("parseAddress", () => {
  it.each([
    ["198.51.100.1", "198.51.100.1"],
    ["::ffff:198.51.100.1", "::ffff:c633:6401"],
    ["64:ff9b::198.51.100.1", "64:ff9b::c633:6401"],
    ["1:2:3:4:5:6:198.51.100.1", "1:2:3:4:5:6:c633:6401"],
  ])("reads %s as %s", (text, canonical) => {
    const address = parseAddress(text);
    expect(address && formatAddress(address)).toBe(canonical);
  });

  it.each([
    "",
    "198.51.100.1/32",
    "::ffff:198.51.100",
    "::ffff:198.51.100.01",
    "1:2:3:4:5:6:7:198.51.100.1",
    "fe80::1%lo",
  ])("refuses %j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});
