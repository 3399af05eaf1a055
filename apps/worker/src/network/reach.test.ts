// What rules let through, held against what the policy says about the same destinations.

import { compile, evaluate, formatAddress, type NetworkPolicy, parseAddress } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import { reaches, reachOf, sameBoxes, sameRanges } from "./reach.ts";

const PROTOCOLS = { tcp: 6, udp: 17, icmp: { 4: 1, 6: 58 } } as const;
const GRANTS = ["10.0.0.0/8", "fd00::/16"];
const POLICIES: readonly NetworkPolicy[] = [
  "open",
  "blocked",
  { allow: [] },
  { allow: ["0.0.0.0/0", "::/0"] },
  { allow: ["198.51.100.0/25", "10.1.0.0/16", "2001:db8::/32", "fd00:1::/64"] },
  {
    allow: [
      { cidr: "198.51.100.0/25", protocol: "tcp", ports: [80, [8000, 8010]] },
      { cidr: "198.51.100.0/26", ports: [53] },
      { cidr: "10.1.0.0/16", protocol: "icmp" },
      { cidr: "2001:db8::/64", protocol: "udp" },
      { cidr: "fd00:1::/64", protocol: "icmp" },
    ],
  },
];
const ADDRESSES = `
  0.0.0.0 9.255.255.255 10.0.0.0 10.1.0.0 10.1.255.255 10.2.0.0 126.255.255.255 127.0.0.1 169.254.169.254
  198.51.99.255 198.51.100.0 198.51.100.63 198.51.100.64 198.51.100.127 198.51.100.128 223.255.255.255 224.0.0.1
  255.255.255.255 ::1 2001:db7:ffff:: 2001:db8:: 2001:db8::ffff 2001:db8:0:1:: 2001:db9:: fd00:1::7 fd00:2::
  fd00:ec2::254 fe80::1 ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
`
  .trim()
  .split(/\s+/);
const PORTS = [1, 53, 79, 80, 81, 7999, 8000, 8010, 8011, 65_535];

describe("reaches", () => {
  it.each(POLICIES)("says what the policy says: %j", (policy) => {
    const reach = reachOf(compile(policy, GRANTS));
    const differences: string[] = [];
    let allowed = 0;
    for (const text of ADDRESSES) {
      const address = parseAddress(text);
      if (address === undefined) throw new Error(text);
      const { family, value } = address;
      for (const protocol of ["tcp", "udp"] as const) {
        for (const port of PORTS) {
          const expected = evaluate(policy, GRANTS, { address: text, protocol, port }).allowed;
          if (reaches(reach[family], value, PROTOCOLS[protocol], port) !== expected)
            differences.push(`${text} ${protocol} ${port}`);
          allowed += expected ? 1 : 0;
        }
      }
      const expected = evaluate(policy, GRANTS, { address: text, protocol: "icmp" }).allowed;
      if (reaches(reach[family], value, PROTOCOLS.icmp[family], 0) !== expected) differences.push(`${text} icmp`);
    }
    expect(differences).toEqual([]);
    expect(allowed > 0).toBe(policy !== "blocked" && (policy === "open" || policy.allow.length > 0));
  });

  it("joins what touches, as the kernel wants it", () => {
    const { whole } = reachOf(compile({ allow: ["198.51.100.0/25", "198.51.100.128/26", "198.51.100.255"] }, []))[4];
    const texts = whole.map(({ first, last }) => [first, last].map((value) => formatAddress({ family: 4, value })));
    expect(texts).toEqual([
      ["198.51.100.0", "198.51.100.191"],
      ["198.51.100.255", "198.51.100.255"],
    ]);
  });
});

describe("sameRanges and sameBoxes", () => {
  it("tell what differs", () => {
    const range = { first: 1n, last: 2n };
    expect(sameRanges([range], [{ ...range }])).toBe(true);
    expect(sameRanges([range], [])).toBe(false);
    expect(sameRanges([range], [{ ...range, last: 3n }])).toBe(false);
    const box = { ...range, protocol: 6, fromPort: 1, toPort: 2 };
    expect(sameBoxes([box], [{ ...box }])).toBe(true);
    for (const change of [{ protocol: 17 }, { fromPort: 2 }, { toPort: 3 }, { first: 0n }]) {
      expect(sameBoxes([box], [{ ...box, ...change }])).toBe(false);
    }
  });
});
