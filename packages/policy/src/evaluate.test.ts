// The answers that people read: which rule decided, and why.

import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import { evaluate, NEVER_REACHABLE, type NetworkPolicy, PRIVATE } from "./index.ts";

const everything: NetworkPolicy = { allow: ["0.0.0.0/0", "::/0"] };

const web: NetworkPolicy = {
  allow: [
    { cidr: "198.51.100.0/24", protocol: "tcp", ports: [443] },
    { cidr: "198.51.0.0/16", protocol: "tcp", ports: [[80, 90], 8080] },
    { cidr: "198.51.0.0/16", protocol: "icmp" },
    "198.51.100.9/32",
  ],
};

describe("evaluate", () => {
  it.each<[NetworkPolicy, string[], string, boolean, string]>([
    ["open", [], "198.51.100.1", true, "open"],
    ["open", [], "2001:db8::1", true, "open"],
    ["open", [], "169.254.169.254", false, "never 169.254.0.0/16"],
    ["open", [], "::ffff:198.51.100.1", false, "never ::ffff:0:0/96"],
    ["open", [], "64:ff9b::169.254.169.254", false, "never 64:ff9b::/96"],
    ["open", ["10.0.0.0/8"], "10.0.0.1", false, "private 10.0.0.0/8"],
    ["blocked", ["10.0.0.0/8"], "198.51.100.1", false, "blocked"],
    [{ allow: [] }, [], "198.51.100.1", false, "unlisted"],
    [{ allow: ["198.51.100.0/24"] }, [], "198.51.100.255", true, "allow 198.51.100.0/24"],
    [{ allow: ["198.51.100.0/24"] }, [], "198.51.101.0", false, "unlisted"],
    [{ allow: ["198.51.100.0/24"] }, [], "2001:db8::1", false, "unlisted"],
    [everything, ["10.0.0.0/8"], "10.0.0.1", false, "private 10.0.0.0/8"],
    [everything, ["fc00::/7"], "fd00::1", false, "private fc00::/7"],
    [everything, [], "192.168.255.255", false, "private 192.168.0.0/16"],
    [everything, [], "2002:c633:6401::1", false, "never 2002::/16"],
    [{ allow: ["10.1.0.0/16"] }, ["10.0.0.0/8"], "10.1.0.1", true, "grant 10.1.0.0/16"],
    [{ allow: ["10.1.0.0/16"] }, ["10.1.0.0/17", "10.1.128.0/17"], "10.1.200.1", true, "grant 10.1.0.0/16"],
    [{ allow: ["10.1.0.0/16"] }, ["10.1.0.0/17"], "10.1.0.1", false, "private 10.0.0.0/8"],
    [web, [], "198.51.100.1:443", true, "allow 198.51.100.0/24"],
    [web, [], "198.51.100.1:442", false, "unlisted"],
    [web, [], "198.51.100.1:80", true, "allow 198.51.0.0/16"],
    [web, [], "udp://198.51.100.1:443", false, "unlisted"],
    [web, [], "icmp://198.51.100.1", true, "allow 198.51.0.0/16"],
    [web, [], "198.51.100.9:443", true, "allow 198.51.100.0/24"],
    [web, [], "198.51.100.9:442", true, "allow 198.51.100.9/32"],
    [web, [], "198.51.100.9", true, "allow 198.51.100.9/32"],
    [{ allow: [{ cidr: "10.1.0.0/16", ports: [53] }] }, ["10.0.0.0/8"], "udp://10.1.0.1:53", true, "grant 10.1.0.0/16"],
    [{ allow: [{ cidr: "10.1.0.0/16", ports: [53] }] }, ["10.0.0.0/8"], "10.1.0.1:54", false, "private 10.0.0.0/8"],
  ])("%j with grants %j: %s is %s by %s", (policy, grants, address, allowed, rule) => {
    const evaluation = evaluate(policy, grants, address);
    expect(evaluation).toMatchObject({ allowed, rule });
    expect(evaluation.why.length).toBeGreaterThan(10);
  });

  it.each<[NetworkPolicy, string, string, string | undefined]>([
    [web, "198.51.100.1", "allow 198.51.100.0/24", "TCP 80-90, 443, 8080; ICMP"],
    [web, "tcp://198.51.100.1", "allow 198.51.100.0/24", "TCP 80-90, 443, 8080"],
    [web, "198.51.1.1", "allow 198.51.0.0/16", "TCP 80-90, 8080; ICMP"],
    [web, "198.51.100.9", "allow 198.51.100.9/32", undefined],
    [{ allow: [{ cidr: "::/0", ports: [[1, 65_535]] }] }, "2001:db8::1", "allow ::/0", "TCP; UDP"],
    [{ allow: [{ cidr: "::/0", ports: [[1, 65_535]] }] }, "udp://[2001:db8::1]", "allow ::/0", undefined],
    [{ allow: [{ cidr: "::/0", ports: [[2, 65_535]] }] }, "udp://[2001:db8::1]", "allow ::/0", "UDP 2-65535"],
    // The first that is all of it is named before the first.
    [
      {
        allow: [
          { cidr: "::/1", protocol: "tcp", ports: [80] },
          { cidr: "::/0", protocol: "tcp" },
        ],
      },
      "tcp://[2001:db8::1]",
      "allow ::/0",
      undefined,
    ],
    // Together they are all of it, and neither is: the first is named.
    [
      {
        allow: [
          { cidr: "::/0", protocol: "tcp", ports: [[1, 80]] },
          { cidr: "::/1", protocol: "tcp", ports: [[81, 65_535]] },
        ],
      },
      "tcp://[2001:db8::1]",
      "allow ::/0",
      undefined,
    ],
    [
      { allow: [{ cidr: "::/0", protocol: "udp", ports: [1, 3, 5, 7, 9, 11, 13, 15] }] },
      "udp://[2001:db8::1]",
      "allow ::/0",
      "UDP 1, 3, 5, 7, 9, 11, 13, 15",
    ],
    [
      { allow: [{ cidr: "::/0", protocol: "udp", ports: [1, 3, 5, 7, 9, 11, 13, 15, 17, 19] }] },
      "udp://[2001:db8::1]",
      "allow ::/0",
      "UDP 1, 3, 5, 7, 9, 11, 13, 15 and 2 more",
    ],
  ])("%j lets %s through by %s: only %s", (policy, destination, rule, only) => {
    const evaluation = evaluate(policy, [], destination);
    expect(evaluation).toMatchObject({ allowed: true, rule });
    expect(evaluation.only).toBe(only);
    expect("only" in evaluation).toBe(only !== undefined);
    if (only !== undefined) expect(evaluation.why).toContain(`only for ${only}`);
  });

  it.each<[NetworkPolicy, string[], string, string]>([
    [web, [], "198.51.100.1", "the allow list contains 198.51.100.1, but only for TCP 80-90, 443, 8080; ICMP"],
    [web, [], "198.51.100.1:443", "the allow list contains tcp://198.51.100.1:443"],
    [web, [], "udp://198.51.1.1:53", "198.51.1.1 is allowed only for TCP 80-90, 8080; ICMP"],
    [web, [], "198.52.0.1:443", "no entry of the allow list contains tcp://198.52.0.1:443"],
    [web, ["10.0.0.0/8"], "10.1.0.1", "10.1.0.1 is private, and no entry of the allow list contains it"],
    [{ allow: ["10.1.0.0/16"] }, [], "10.1.0.1", "10.1.0.1 is private, and no entry that contains it is granted"],
    [
      { allow: ["10.1.0.0/16"] },
      ["10.0.0.0/8"],
      "10.1.0.1",
      "the allow list and the operator's grants contain 10.1.0.1",
    ],
    ["open", [], "198.51.100.1", "198.51.100.1 is a public address"],
    ["open", [], "10.1.0.1", "10.1.0.1 is private, and open does not reach private networks"],
    ["open", [], "198.51.100.99", "198.51.100.99 is never reachable: it belongs to a machine of the platform"],
    ["open", [], "127.0.0.1", "127.0.0.1 is never reachable: loopback"],
    ["blocked", [], "198.51.100.1", "the policy lets nothing out"],
  ])("%j with grants %j says of %s: %s", (policy, grants, destination, why) => {
    expect(evaluate(policy, grants, destination, { ownAddresses: ["198.51.100.99"] }).why).toBe(why);
  });

  it("never lets a machine of the platform be reached, and names the law before the machine", () => {
    const ownAddresses = ["127.0.0.0/8", "198.51.100.9/32", "2001:db8::/64"];
    for (const policy of ["open", "blocked", web, everything] as const) {
      for (const own of ["198.51.100.9", "2001:db8::1", "198.51.100.9:443"]) {
        expect(evaluate(policy, [], own, { ownAddresses })).toMatchObject({ allowed: false, rule: "never host" });
      }
      expect(evaluate(policy, [], "127.0.0.1", { ownAddresses }).rule).toBe("never 127.0.0.0/8");
    }
    expect(evaluate(everything, [], "2001:db8:0:1::", { ownAddresses }).allowed).toBe(true);
    expect(failure(() => evaluate("open", [], "198.51.100.1", { ownAddresses: ["::1%lo"] })).field).toBe(
      "ownAddresses",
    );
  });

  it("refuses a policy and grants that were never parsed", () => {
    const bad = { allow: ["198.51.100.0/24", { cidr: "198.51.100.0/24", ports: [0] }] };
    expect(failure(() => evaluate(bad, [], "198.51.100.1")).field).toBe("network.allow[1].ports[0]");
    expect(failure(() => evaluate(web, ["10.0.0.1/8"], "198.51.100.1")).field).toBe("grants");
  });

  it("refuses what is no address", () => {
    expect(() => evaluate("open", [], "example.com")).toThrow(expect.objectContaining({ field: "destination" }));
  });
});

describe("the tables", () => {
  it("give each row a reason and a source, once", () => {
    const rows = [...NEVER_REACHABLE, ...PRIVATE];
    expect(rows.every((row) => row.reason !== "" && row.source !== "")).toBe(true);
    expect(new Set(rows.map((row) => row.cidr)).size).toBe(rows.length);
  });
});
