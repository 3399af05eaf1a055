// Addresses as apps are told them.

import type { RawHeader } from "@sallyport/connect-token/verify";
import { plainAddress } from "@sallyport/edge";
import { describe, expect, it } from "vitest";
import { facts } from "../test/rules/place.ts";
import { addForwarded } from "./forwarded.ts";

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
