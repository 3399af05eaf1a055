// The compiled data of known policies: lists, boxes of ports, and the bound on them.

import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import { type AllowRule, compile, MAX_PORT_RULES, type NetworkPolicy, type PortRule, parsePolicy } from "./index.ts";

describe("compile", () => {
  it("gives open and blocked no lists", () => {
    const empty = { allow4: [], allow6: [], granted4: [], granted6: [], portRules: [] };
    expect(compile("open", ["10.0.0.0/8"])).toEqual({ mode: "open", ...empty });
    expect(compile("blocked", ["10.0.0.0/8"])).toEqual({ mode: "blocked", ...empty });
    expect(compile({ allow: [] }, ["10.0.0.0/8"])).toEqual({ mode: "allow", ...empty });
  });

  it("merges neighbours and overlaps, and parts public from granted", () => {
    const allow = ["198.51.100.128/25", "198.51.100.0/25", "198.51.100.7", "10.1.0.0/16", "10.9.0.0/16", "fd12::/32"];
    expect(compile({ allow }, ["10.0.0.0/13", "fd00::/8"])).toEqual({
      mode: "allow",
      allow4: ["198.51.100.0/24"],
      allow6: [],
      granted4: ["10.1.0.0/16"],
      granted6: ["fd12::/32"],
      portRules: [],
    });
  });

  it("cuts reserved space out of wide entries", () => {
    expect(compile({ allow: ["8.0.0.0/5"] }, []).allow4).toEqual(["8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6"]);
    expect(compile({ allow: ["fd00:ec2::/31"] }, ["fd00::/8"]).granted6).toEqual(["fd00:ec3::/32"]);
  });
});

/** `4 198.51.100.0-198.51.100.6 tcp 443-443`, and `granted` behind it. */
const shown = (rules: readonly PortRule[]): string[] =>
  rules.map(({ family, first, last, protocol, fromPort, toPort, granted }) =>
    [family, `${first}-${last}`, protocol, `${fromPort}-${toPort}`, ...(granted ? ["granted"] : [])].join(" "),
  );
const boxes = (allow: readonly (string | AllowRule)[], grants: readonly string[] = []): string[] =>
  shown(compile({ allow }, grants).portRules);

describe("port rules", () => {
  it("name each protocol, and its ports", () => {
    expect(boxes([{ cidr: "198.51.100.0/24", ports: [443, [8000, 8100]] }])).toEqual([
      "4 198.51.100.0-198.51.100.255 tcp 443-443",
      "4 198.51.100.0-198.51.100.255 tcp 8000-8100",
      "4 198.51.100.0-198.51.100.255 udp 443-443",
      "4 198.51.100.0-198.51.100.255 udp 8000-8100",
    ]);
    expect(boxes([{ cidr: "2001:db8::/32", protocol: "tcp" }])).toEqual([
      "6 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff tcp 1-65535",
    ]);
    expect(boxes([{ cidr: "::/4", protocol: "tcp", ports: [443] }])).not.toContainEqual(expect.stringMatching(/^4/));
    expect(boxes([{ cidr: "198.51.100.7/32", protocol: "icmp" }])).toEqual(["4 198.51.100.7-198.51.100.7 icmp 0-0"]);
  });

  it("leave out what a CIDR of the list holds, and cut around it", () => {
    const rule: AllowRule = { cidr: "198.51.100.0/24", protocol: "tcp", ports: [443] };
    expect(boxes([rule, "198.51.0.0/16"])).toEqual([]);
    expect(boxes(["198.51.100.64/26", rule])).toEqual([
      "4 198.51.100.0-198.51.100.63 tcp 443-443",
      "4 198.51.100.128-198.51.100.255 tcp 443-443",
    ]);
  });

  it("join what nests, overlaps and touches", () => {
    const outer: AllowRule = { cidr: "198.51.100.0/24", protocol: "tcp", ports: [443] };
    const inner: AllowRule = { cidr: "198.51.100.7/32", protocol: "tcp", ports: [80] };
    expect(boxes([inner, outer])).toEqual([
      "4 198.51.100.0-198.51.100.255 tcp 443-443",
      "4 198.51.100.7-198.51.100.7 tcp 80-80",
    ]);
    expect(boxes([outer, { ...inner, ports: [444] }])).toEqual([
      "4 198.51.100.0-198.51.100.6 tcp 443-443",
      "4 198.51.100.7-198.51.100.7 tcp 443-444",
      "4 198.51.100.8-198.51.100.255 tcp 443-443",
    ]);
    expect(boxes([outer, { ...outer, cidr: "198.51.101.0/24" }])).toEqual([
      "4 198.51.100.0-198.51.101.255 tcp 443-443",
    ]);
    expect(boxes([outer, { cidr: "198.51.100.0/24", ports: [[440, 443]] }])).toEqual([
      "4 198.51.100.0-198.51.100.255 tcp 440-443",
      "4 198.51.100.0-198.51.100.255 udp 440-443",
    ]);
  });

  it("part public from granted, and never hold what is neither", () => {
    const everywhere: AllowRule = { cidr: "8.0.0.0/6", protocol: "udp", ports: [53] };
    expect(boxes([everywhere], ["10.0.0.0/8"])).toEqual([
      "4 8.0.0.0-9.255.255.255 udp 53-53",
      "4 11.0.0.0-11.255.255.255 udp 53-53",
    ]);
    const granted: AllowRule = { cidr: "10.1.0.0/16", protocol: "tcp", ports: [5432] };
    expect(boxes([granted])).toEqual([]);
    expect(boxes([granted], ["10.1.0.0/17"])).toEqual([]);
    expect(boxes([granted, everywhere], ["10.1.0.0/17", "10.1.128.0/17"])).toEqual([
      "4 8.0.0.0-9.255.255.255 udp 53-53",
      "4 11.0.0.0-11.255.255.255 udp 53-53",
      "4 10.1.0.0-10.1.255.255 tcp 5432-5432 granted",
    ]);
    // A wide CIDR that does not count for private space takes nothing away there.
    expect(boxes([granted, "10.0.0.0/7"], ["10.1.0.0/16"])).toEqual(["4 10.1.0.0-10.1.255.255 tcp 5432-5432 granted"]);
    expect(boxes([granted, "10.1.0.0/24"], ["10.0.0.0/8"])).toEqual(["4 10.1.1.0-10.1.255.255 tcp 5432-5432 granted"]);
    expect(boxes([{ cidr: "fd00:ec2::/31", protocol: "icmp" }], ["fd00::/8"])).toEqual([
      "6 fd00:ec3::-fd00:ec3:ffff:ffff:ffff:ffff:ffff:ffff icmp 0-0 granted",
    ]);
  });

  it("are bounded, at parsing and at compiling, and the error names the list", () => {
    const rules: AllowRule[] = Array.from({ length: 128 }, (_, index) => ({
      cidr: `198.51.100.${2 * index}/32`,
      ports: [1, 3, 5, 7],
    }));
    expect(boxes(rules)).toHaveLength(MAX_PORT_RULES);
    expect(parsePolicy({ allow: rules })).toEqual({ allow: rules });
    const one: AllowRule = { cidr: "2001:db8::/32", protocol: "icmp" };
    for (const act of [parsePolicy, (policy: NetworkPolicy) => compile(policy, [])]) {
      const error = failure(() => act({ allow: [...rules, one] }));
      expect(error).toMatchObject({ field: "network.allow", hint: expect.stringContaining("ranges") as unknown });
      expect(error.message).toContain("1024");
    }
    expect(failure(() => compile({ allow: [...rules, one] }, [], "policy")).field).toBe("policy.allow");
  });

  it("of one place take a box for each range of ports, and what is written over no room", () => {
    const scattered = (cidr: string, count: number): AllowRule[] =>
      Array.from({ length: count / 64 }, (_, rule) => ({
        cidr,
        protocol: "tcp",
        ports: Array.from({ length: 64 }, (_each, port) => 2 * (64 * rule + port) + 1),
      }));
    const full = scattered("198.51.100.0/24", MAX_PORT_RULES);
    expect(boxes(full)).toHaveLength(MAX_PORT_RULES);
    const more: AllowRule = { cidr: "198.51.100.0/25", protocol: "tcp", ports: [60_000] };
    expect(failure(() => compile({ allow: [...full, more] }, [])).field).toBe("network.allow");
    // Both halves allow all ports: of the many around them nothing is left.
    const halves = ["198.51.100.0/25", "198.51.100.128/25"].map((cidr): AllowRule => ({ cidr, protocol: "tcp" }));
    expect(boxes([...scattered("198.51.100.0/24", 4 * MAX_PORT_RULES), ...halves])).toEqual([
      "4 198.51.100.0-198.51.100.255 tcp 1-65535",
    ]);
  });

  it("of a parsed policy can become too many by another grant, never without any", () => {
    const ports = Array.from({ length: 16 }, (_, index) => 2 * index + 1);
    const rules: AllowRule[] = Array.from({ length: 64 }, (_, index) => ({ cidr: `10.1.${2 * index}.0/24`, ports }));
    const policy = parsePolicy({ allow: ["10.0.0.0/8", ...rules] }, { grants: ["10.0.0.0/8"] });
    expect(compile(policy, ["10.0.0.0/8"]).portRules).toEqual([]);
    expect(failure(() => compile(policy, ["10.1.0.0/16"])).field).toBe("network.allow");
    expect(compile(policy, [])).toMatchObject({ granted4: [], portRules: [] });
  });

  it("are not made from what was never parsed", () => {
    const bad = { allow: ["198.51.100.0/24", { cidr: "198.51.100.0/24", ports: [0] }] };
    expect(failure(() => compile(bad, [])).field).toBe("network.allow[1].ports[0]");
    expect(failure(() => compile({ allow: [] }, ["10.0.0.0/8", "10.0.0.1/8"])).field).toBe("grants[1]");
  });
});
