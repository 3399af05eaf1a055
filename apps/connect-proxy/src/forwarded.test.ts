// Addresses as apps are told them, and the operator's list of proxies.

import type { RawHeader } from "@sallyport/connect-token/verify";
import { describe, expect, it } from "vitest";
import { facts } from "../test/rules/place.ts";
import { addForwarded, plainAddress, trustedPeers } from "./forwarded.ts";

const forwardedHeaders = (...args: Tail<Parameters<typeof addForwarded>>) => {
  const headers: RawHeader[] = [];
  addForwarded(headers, ...args);
  return headers;
};
type Tail<List> = List extends [unknown, ...infer Rest] ? Rest : never;

describe("where a request comes from", () => {
  it.each([
    ["198.51.100.7", "198.51.100.7", "for=198.51.100.7"],
    ["::ffff:198.51.100.7", "198.51.100.7", "for=198.51.100.7"],
    ["2001:db8::7", "2001:db8::7", 'for="[2001:db8::7]"'],
    ["fe80::7%eth0", "fe80::7", 'for="[fe80::7]"'],
    ["", "", "for=unknown"],
    ['"; x', '"; x', "for=unknown"],
  ])("%s", (peerAddress, plain, node) => {
    expect(plainAddress(peerAddress)).toBe(plain);
    const [, , , forwarded] = forwardedHeaders(facts({ peerAddress, host: "a:1" }));
    expect(forwarded).toEqual(["Forwarded", `${node};host="a:1";proto=https`]);
  });

  it("is told of each address and host by itself, in whatever order they come", () => {
    const asked = [
      ["198.51.100.7", "a"],
      ["198.51.100.7", "b"],
      ["198.51.100.8", "b"],
      ["198.51.100.7", "a"],
      ["198.51.100.7", "a"],
    ] as const;
    const heard = asked.map(([peerAddress, host]) => forwardedHeaders(facts({ peerAddress, host })));
    expect(heard.map((headers) => headers.map(([, value]) => value))).toEqual(
      asked.map(([address, host]) => [address, "https", host, `for=${address};host="${host}";proto=https`]),
    );
  });

  it("is continued where a trusted proxy said so far, blanks aside", () => {
    const told = { for: [" "], proto: [""], host: [], forwarded: ["for=a", " "] };
    expect(forwardedHeaders(facts({ host: "a" }), told)).toEqual([
      ["X-Forwarded-For", "198.51.100.7"],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Host", "a"],
      ["Forwarded", 'for=a, for=198.51.100.7;host="a";proto=https'],
    ]);
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
  ])("are not %j", (entry) => {
    expect(() => trustedPeers(["::1", entry])).toThrow(RangeError);
  });
});
