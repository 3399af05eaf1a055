// What a caller may write as a rule about protocols and ports, how it is written back, and how each mistake is named.

import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import { type AllowRule, MAX_PORTS_PER_RULE, parsePolicy } from "./index.ts";

const CIDR = "198.51.100.0/24";
const parseRule = (rule: unknown): unknown => {
  const policy = parsePolicy({ allow: [rule] });
  return typeof policy === "string" ? policy : policy.allow[0];
};

describe("an allow rule", () => {
  it.each<[unknown, string | AllowRule]>([
    [{ cidr: CIDR }, CIDR],
    [{ cidr: CIDR, protocol: undefined, ports: undefined }, CIDR],
    [{ cidr: "2001:DB8:0::/32" }, "2001:db8::/32"],
    [
      { cidr: "198.51.100.7", protocol: "tcp" },
      { cidr: "198.51.100.7/32", protocol: "tcp" },
    ],
    [
      { cidr: CIDR, protocol: "icmp" },
      { cidr: CIDR, protocol: "icmp" },
    ],
    [
      { ports: [443], protocol: "udp", cidr: CIDR },
      { cidr: CIDR, protocol: "udp", ports: [443] },
    ],
    [
      { cidr: CIDR, ports: [443] },
      { cidr: CIDR, ports: [443] },
    ],
    [
      { cidr: CIDR, ports: [[443, 443]] },
      { cidr: CIDR, ports: [443] },
    ],
    [
      { cidr: CIDR, ports: [443, 80, 443] },
      { cidr: CIDR, ports: [80, 443] },
    ],
    [
      { cidr: CIDR, ports: [82, [80, 81], 90, [85, 95]] },
      {
        cidr: CIDR,
        ports: [
          [80, 82],
          [85, 95],
        ],
      },
    ],
    [
      { cidr: CIDR, ports: [[80, 90], [82, 83], 92] },
      { cidr: CIDR, ports: [[80, 90], 92] },
    ],
    [
      { cidr: CIDR, protocol: "tcp", ports: [[1, 65_535]] },
      { cidr: CIDR, protocol: "tcp" },
    ],
    [
      {
        cidr: CIDR,
        protocol: "tcp",
        ports: [
          [1, 1000],
          [1001, 65_535],
        ],
      },
      { cidr: CIDR, protocol: "tcp" },
    ],
    [
      { cidr: CIDR, protocol: "tcp", ports: [[1, 65_534]] },
      { cidr: CIDR, protocol: "tcp", ports: [[1, 65_534]] },
    ],
    [
      { cidr: CIDR, protocol: "tcp", ports: [[2, 65_535]] },
      { cidr: CIDR, protocol: "tcp", ports: [[2, 65_535]] },
    ],
    // All ports of TCP and UDP are less than everything.
    [
      { cidr: CIDR, ports: [[1, 65_535]] },
      { cidr: CIDR, ports: [[1, 65_535]] },
    ],
    [
      { cidr: CIDR, ports: [1, 65_535] },
      { cidr: CIDR, ports: [1, 65_535] },
    ],
  ])("%j is written back as %j", (rule, canonical) => {
    expect(parseRule(rule)).toStrictEqual(canonical);
    expect(parseRule(structuredClone(canonical))).toStrictEqual(canonical);
  });

  it("is frozen in every part, and leaves what it was made from alone", () => {
    const ports: unknown[] = [443, [80, 90]];
    const rule = { cidr: CIDR, ports };
    const parsed = parseRule(rule);
    expect(rule).toEqual({ cidr: CIDR, ports: [443, [80, 90]] });
    ports.push(22);
    expect(parsed).toEqual({ cidr: CIDR, ports: [[80, 90], 443] });
    const parts = typeof parsed === "object" && parsed !== null && "ports" in parsed ? parsed.ports : undefined;
    expect([parsed, parts, Array.isArray(parts) && parts[0]].every((part) => Object.isFrozen(part))).toBe(true);
  });

  it.each<[unknown, string, string]>([
    [{}, "", "cidr"],
    [{ cidr: undefined, ports: [443] }, "", "cidr"],
    [{ cidr: CIDR, port: 443 }, "", '"port"'],
    [{ cidr: CIDR, protocols: ["tcp"] }, "", '"protocols"'],
    [{ cidr: CIDR, "\u0000\u202e": 1 }, "", '"\\u0000\\u202e"'],
    [[CIDR], "", "a list"],
    [null, "", "null"],
    [443, "", "a number"],
    [{ cidr: null }, ".cidr", "null"],
    [{ cidr: 3_325_256_704 }, ".cidr", "a number"],
    [{ cidr: { cidr: CIDR } }, ".cidr", "an object"],
    [{ cidr: "198.51.100.1/24" }, ".cidr", "host bits"],
    [{ cidr: "0306.063.0144.0/24" }, ".cidr", "IPv4"],
    [{ cidr: "0xc6.0x33.0x64.0/24" }, ".cidr", "IPv4"],
    [{ cidr: "198.51.25600/24" }, ".cidr", "IPv4"],
    [{ cidr: "fe80::1%eth0", ports: [1] }, ".cidr", "zone id"],
    [{ cidr: "::ffff:198.51.100.0/120" }, ".cidr", "hides an IPv4"],
    [{ cidr: "::ffff:c633:6400/120", ports: [1] }, ".cidr", "IPv4-mapped"],
    [{ cidr: "64:ff9b::c633:6400/120", ports: [1] }, ".cidr", "NAT64"],
    [{ cidr: "2002:c633:6400::/40", ports: [1] }, ".cidr", "6to4"],
    [{ cidr: "2001:0:c633:6400::/64", ports: [1] }, ".cidr", "Teredo"],
    [{ cidr: "169.254.169.254", protocol: "tcp", ports: [80] }, ".cidr", "link-local"],
    [{ cidr: "10.1.0.0/16", protocol: "tcp" }, ".cidr", "not granted"],
    [{ cidr: CIDR, protocol: "TCP" }, ".protocol", '"TCP"'],
    [{ cidr: CIDR, protocol: "sctp" }, ".protocol", '"sctp"'],
    [{ cidr: CIDR, protocol: 6 }, ".protocol", "a number"],
    [{ cidr: CIDR, protocol: null }, ".protocol", "null"],
    [{ cidr: CIDR, protocol: ["tcp"] }, ".protocol", "a list"],
    [{ cidr: CIDR, protocol: "icmp", ports: [8] }, ".ports", "ICMP has no ports"],
    [{ cidr: CIDR, protocol: "icmp", ports: [] }, ".ports", "ICMP has no ports"],
    [{ cidr: CIDR, ports: 443 }, ".ports", "a number"],
    [{ cidr: CIDR, ports: null }, ".ports", "null"],
    [{ cidr: CIDR, ports: "443" }, ".ports", '"443"'],
    [{ cidr: CIDR, ports: {} }, ".ports", "an object"],
    [{ cidr: CIDR, ports: [] }, ".ports", "no port"],
    [{ cidr: CIDR, ports: [443, 0] }, ".ports[1]", "0 is not a port"],
    [{ cidr: CIDR, ports: [65_536] }, ".ports[0]", "65536 is not"],
    [{ cidr: CIDR, ports: [-1] }, ".ports[0]", "-1 is not"],
    [{ cidr: CIDR, ports: [80.5] }, ".ports[0]", "80.5 is not"],
    [{ cidr: CIDR, ports: [Number.NaN] }, ".ports[0]", "NaN is not"],
    [{ cidr: CIDR, ports: [Number.POSITIVE_INFINITY] }, ".ports[0]", "Infinity is not"],
    [{ cidr: CIDR, ports: ["443"] }, ".ports[0]", '"443" is not'],
    [{ cidr: CIDR, ports: [true] }, ".ports[0]", "a boolean"],
    [{ cidr: CIDR, ports: [null] }, ".ports[0]", "null"],
    [{ cidr: CIDR, ports: [80, [90, 81]] }, ".ports[1]", "backwards, from 90 to 81"],
    [{ cidr: CIDR, ports: [[0, 80]] }, ".ports[0]", "0 is not a port"],
    [{ cidr: CIDR, ports: [[80, 65_536]] }, ".ports[0]", "65536 is not"],
    [{ cidr: CIDR, ports: [[80, Number.NaN]] }, ".ports[0]", "NaN is not"],
    [{ cidr: CIDR, ports: [[]] }, ".ports[0]", "range"],
    [{ cidr: CIDR, ports: [[80]] }, ".ports[0]", "range"],
    [{ cidr: CIDR, ports: [[80, 81, 82]] }, ".ports[0]", "range"],
    [{ cidr: CIDR, ports: [[80, [81, 82]]] }, ".ports[0]", "a list"],
  ])("is refused as %j", (rule, part, words) => {
    const error = failure(() => parsePolicy({ allow: ["198.51.101.0/24", rule] }));
    expect(error.field).toBe(`network.allow[1]${part}`);
    expect(error.message).toContain(words);
    expect(error.message).toMatch(/^[\x20-\x7e…]*$/);
  });

  it("has a named limit of ports, however they join", () => {
    const ports = Array.from({ length: MAX_PORTS_PER_RULE + 1 }, (_, index) => index + 1);
    expect(parseRule({ cidr: CIDR, ports: ports.slice(1) })).toEqual({ cidr: CIDR, ports: [[2, 65]] });
    const error = failure(() => parseRule({ cidr: CIDR, ports }));
    expect(error.field).toBe("network.allow[0].ports");
    expect(error.message).toContain("64");
    const holes: number[] = [];
    holes[4_294_967_294] = 1;
    expect(failure(() => parseRule({ cidr: CIDR, ports: holes })).field).toBe("network.allow[0].ports");
    const hole = [80];
    hole[2] = 82;
    expect(failure(() => parseRule({ cidr: CIDR, ports: [443n] })).field).toBe("network.allow[0].ports[0]");
    expect(failure(() => parseRule({ cidr: CIDR, ports: hole })).field).toBe("network.allow[0].ports[1]");
  });

  it.each<[unknown, unknown]>([
    [CIDR, { cidr: CIDR }],
    [{ cidr: CIDR }, CIDR],
    [
      { cidr: CIDR, ports: [80, 81] },
      { cidr: CIDR, ports: [[80, 81]] },
    ],
    [
      { cidr: "2001:db8::1", ports: [80] },
      { ports: [80], cidr: "2001:DB8::1/128" },
    ],
    [
      { cidr: CIDR, protocol: "tcp" },
      { cidr: CIDR, protocol: "tcp", ports: [[1, 65_535]] },
    ],
  ])("is refused where %j is there before %j", (first, second) => {
    const error = failure(() => parsePolicy({ allow: [first, "198.51.101.0/24", second] }));
    expect(error.field).toBe("network.allow[2]");
    const shown = typeof second === "string" ? JSON.stringify(second) : "the rule";
    expect(error.message).toBe(`network.allow[2]: ${shown} is already there as network.allow[0]`);
  });

  it("may lie inside other entries, and say another part of the same", () => {
    const allow: (string | AllowRule)[] = [
      CIDR,
      { cidr: CIDR, ports: [443] },
      { cidr: CIDR, protocol: "tcp", ports: [443] },
      { cidr: CIDR, protocol: "udp", ports: [443] },
      { cidr: CIDR, protocol: "icmp" },
      { cidr: "198.51.100.7/32", protocol: "tcp", ports: [443] },
    ];
    expect(parsePolicy({ allow })).toStrictEqual({ allow });
  });

  it("counts for private space only inside the grants, as a CIDR does", () => {
    const rule = { cidr: "10.1.0.0/16", ports: [5432] };
    expect(parsePolicy({ allow: [rule] }, { grants: ["10.0.0.0/8"] })).toEqual({ allow: [rule] });
    const narrow = failure(() => parsePolicy({ allow: [rule] }, { grants: ["10.1.0.0/17"] }));
    expect(narrow.field).toBe("network.allow[0].cidr");
    expect(narrow.hint).toContain("operator must grant");
  });
});
