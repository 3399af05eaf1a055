// Whatever text or value comes in: an error of ours, printable and short, or data that reads back to itself.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compile,
  evaluate,
  formatDestination,
  PolicyError,
  parseDestination,
  parseGrants,
  parsePolicy,
} from "./index.ts";

/** Longest message there can be: a field, a quoted and escaped text of 64 characters, and the reason. */
const LONGEST_MESSAGE = 700;

/** Pieces that parsers of addresses are known to stumble over, and characters that look like others or like nothing. */
const WORDS = `
  198.51.100.0 10.0.0.0 0 00 0x0a 010 256 4294967296 1e2 . .. : :: ::: ffff 2001:db8 ::ffff: 64:ff9b:: 2002:
  fe80::1%eth0 % %25 / /0 /24 /33 /129 /-1 /+1 /024 [ ] tcp:// udp:// icmp:// TCP:// // @ # ? \\ 443 :443 é ſ`;
const BLANKS = ["\0", "\n", "\r\n", "\t", " ", "\u00a0", "\u0661", "\u202e", "\u3002", "\ud800", "\uff11"];
const piece = fc.oneof(
  fc.constantFrom(...WORDS.trim().split(/\s+/), ...BLANKS),
  fc.string({ unit: "binary", maxLength: 3 }),
);
const text = fc.oneof(
  fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.ipV4(),
  fc.ipV4Extended(),
  fc.ipV6(),
  fc.webAuthority({ withIPv4: true, withIPv6: true, withPort: true, withUserInfo: true }),
);
const anyValue = fc.oneof(text, fc.anything({ withBigInt: true, withSparseArray: true, withNullPrototype: true }));
const anyPort = fc.oneof(fc.integer(), fc.double(), fc.tuple(fc.integer(), fc.integer()), anyValue);
const anyRule = fc.record(
  {
    cidr: anyValue,
    protocol: fc.oneof(fc.constantFrom("tcp", "udp", "icmp"), anyValue),
    ports: fc.array(anyPort, { maxLength: 4 }),
  },
  { requiredKeys: [] },
);
const goodCidr = fc.constantFrom("198.51.100.0/24", "2001:db8::/32", "0.0.0.0/0");
const nearlyGoodRule = fc.record(
  {
    cidr: goodCidr,
    protocol: fc.constantFrom("tcp", "udp", "icmp"),
    ports: fc.array(fc.oneof(fc.nat(65_536), fc.tuple(fc.nat(65_536), fc.nat(65_536))), { maxLength: 4 }),
  },
  { requiredKeys: ["cidr"] },
);
const anyPolicy = fc.oneof(
  anyValue,
  fc.record({ allow: fc.array(fc.oneof(text, anyRule, nearlyGoodRule, goodCidr), { maxLength: 4 }) }),
);

/** The answer, or undefined after an error that is fit to be shown. */
function answerOf<T>(act: () => T, field: RegExp): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    expect(error.field).toMatch(field);
    expect(error.message.startsWith(`${error.field}: `)).toBe(true);
    expect(`${error.message}${error.hint ?? ""}`).toMatch(/^[\x20-\x7e…]*$/);
    expect(error.message.length).toBeLessThan(LONGEST_MESSAGE);
    return undefined;
  }
}

describe("hostile input", () => {
  it("as a policy is refused by name or taken in canonical form", () => {
    const field = /^network(?:\.allow(?:\[\d\](?:\.cidr|\.protocol|\.ports(?:\[\d+\])?)?)?)?$/;
    fc.assert(
      fc.property(anyPolicy, (input) => {
        const policy = answerOf(() => parsePolicy(input), field);
        if (policy === undefined) return;
        const written: unknown = JSON.parse(JSON.stringify(policy));
        expect(parsePolicy(written)).toStrictEqual(policy);
        expect(compile(policy, []).mode).toBe(typeof policy === "string" ? policy : "allow");
      }),
      { numRuns: 5000 },
    );
  });

  it("as a text of an entry or a grant is a CIDR of its own spelling, or refused", () => {
    fc.assert(
      fc.property(text, (input) => {
        const policy = answerOf(() => parsePolicy({ allow: [input] }), /^network\.allow\[0\]$/);
        // Nothing is trimmed, cut or read as a number: what is taken differs from its canonical form by zeros of IPv6,
        // by case, and by a prefix length that was left out.
        if (policy !== undefined) expect(input).toMatch(/^(?:[0-9]+(?:\.[0-9]+){3}|[0-9a-f:]+)(?:\/[0-9]+)?$/i);
        const grants = answerOf(() => parseGrants([input]), /^grants\[0\]$/);
        if (grants !== undefined) expect(parseGrants(grants)).toStrictEqual(grants);
      }),
      { numRuns: 5000 },
    );
  });

  it("as a destination is read back to the same, or refused", () => {
    fc.assert(
      fc.property(anyValue, (input) => {
        const destination = answerOf(() => parseDestination(input), /^destination$/);
        if (destination === undefined) return;
        expect(parseDestination(formatDestination(destination))).toStrictEqual(destination);
        expect(evaluate("open", [], destination).why).toMatch(/^[\x20-\x7e]*$/);
      }),
      { numRuns: 5000 },
    );
  });
});
