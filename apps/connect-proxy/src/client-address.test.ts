// Whose address counts, whatever a client says of itself.

import type { RawHeader } from "@sallyport/connect-token/verify";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clientAddress } from "./client-address.ts";

const PROXY = "10.0.0.1";
const isTrusted = (address: string) => address.startsWith("10.") || address === "2001:db8:f::1";

function seen(peerAddress: string, ...values: readonly string[]): string {
  const headers = values.map((value): RawHeader => ["X-Forwarded-For", value]);
  return clientAddress({ peerAddress, headers }, isTrusted);
}

describe("a client's address", () => {
  it("is that of the connection, whatever it says", () => {
    expect(seen("198.51.100.7")).toBe("198.51.100.7");
    expect(seen("::ffff:198.51.100.7", "10.0.0.9")).toBe("198.51.100.7");
    expect(seen("2001:db8::7%eth0", "198.51.100.8")).toBe("2001:db8::7");
    expect(seen("")).toBe("");
  });

  it.each([
    [["198.51.100.7"], "198.51.100.7"],
    [["198.51.100.7:4711"], "198.51.100.7"],
    [["2001:db8::7"], "2001:db8::7"],
    [["[2001:db8::7]"], "2001:db8::7"],
    [["[2001:db8::7]:4711"], "2001:db8::7"],
    [["::ffff:198.51.100.7"], "198.51.100.7"],
    [["198.51.100.66, 198.51.100.7"], "198.51.100.7"],
    [["198.51.100.66", "198.51.100.7"], "198.51.100.7"],
    [["198.51.100.66,198.51.100.7 , 10.0.0.2", "2001:db8:f::1"], "198.51.100.7"],
    [["10.0.0.3, 10.0.0.2"], "10.0.0.3"],
  ])("is what a trusted proxy says: %j is %s", (values, address) => {
    expect(seen(PROXY, ...values)).toBe(address);
  });

  it.each([
    [[]],
    [[""]],
    [["unknown"]],
    [["198.51.100.7, unknown"]],
    [["198.51.100.7, "]],
    [["198.51.100.7", ""]],
    [["198.51.100.7, _hidden, 10.0.0.2"]],
    [["198.51.100.256"]],
    [["198.51.100.7:123456"]],
    [["[2001:db8::7"]],
    [["[198.51.100.7]x"]],
    [["for=198.51.100.7"]],
    [['"198.51.100.7"']],
  ])("is nobody's where a trusted proxy says %j", (values) => {
    expect(seen(PROXY, ...values)).toBe("");
  });

  it("is in no other header, however it is spelled", () => {
    for (const name of ["X_Forwarded_For", "X-Forwarded-For-", "Forwarded", "X-Real-IP", "True-Client-IP"]) {
      const headers: RawHeader[] = [
        [name, "198.51.100.66"],
        ["x-forwarded-FOR", "198.51.100.7"],
        [name, "198.51.100.67"],
      ];
      expect(clientAddress({ peerAddress: PROXY, headers }, isTrusted)).toBe("198.51.100.7");
    }
  });

  it("is never what stands before the one that a trusted proxy has added", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (made) => {
        expect(seen(PROXY, ...made, "198.51.100.7")).toBe("198.51.100.7");
        expect(seen(PROXY, [...made, " 198.51.100.7"].join(","))).toBe("198.51.100.7");
      }),
    );
  });
});
