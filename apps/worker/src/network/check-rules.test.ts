// Rule data that is refused, whoever sent it.

import { compile, type NetworkRules, type PortRule } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import { checkRules, checkShape } from "./check-rules.ts";

const grants = ["10.0.0.0/8", "fd00::/16"];
const rules = compile(
  {
    allow: [
      "198.51.100.0/25",
      "10.1.0.0/16",
      "2001:db8::/32",
      { cidr: "198.51.100.128/25", ports: [53, [80, 90]] },
      { cidr: "10.2.0.0/16", protocol: "icmp" },
      { cidr: "fd00:7::/64", protocol: "tcp", ports: [[1, 65_535]] },
    ],
  },
  grants,
);
const port: PortRule = {
  family: 4,
  first: "198.51.100.1",
  last: "198.51.100.9",
  protocol: "tcp",
  fromPort: 80,
  toPort: 90,
  granted: false,
};

describe("checkRules", () => {
  it("takes what compile gives", () => {
    expect(rules.portRules.length).toBeGreaterThan(3);
    expect(() => checkRules(rules)).not.toThrow();
    expect(() => checkRules(compile("open", []))).not.toThrow();
    expect(() => checkRules(compile("blocked", []))).not.toThrow();
    expect(() => checkRules(compile({ allow: ["0.0.0.0/0", "::/0", "fc00::/7"] }, ["fc00::/7"]))).not.toThrow();
  });

  it.each<[string, unknown]>([
    ["an unknown mode", { mode: "ajar" }],
    ["no mode", { mode: undefined }],
    ["text that nft would read on", { allow4: ["198.51.100.0/24 }; flush ruleset"] }],
    ["host bits", { allow4: ["198.51.100.1/24"] }],
    ["another form of a CIDR", { allow6: ["2001:0db8::/32"] }],
    ["the other family", { allow4: ["2001:db8::/32"] }],
    ["the other family, granted", { granted6: ["10.0.0.0/8"] }],
    ["no list", { allow6: undefined }],
    ["no list of port rules", { portRules: undefined }],
    ["lists beside another mode", { mode: "open" }],
    ["port rules beside another mode", { ...compile("open", []), portRules: [port] }],
    ["too many port rules", { portRules: Array.from({ length: 1025 }, () => port) }],
    ["a port rule that is none", { portRules: [undefined] }],
    ["a port rule of no family", { portRules: [{ ...port, family: 5 }] }],
    ["a port rule of the other family", { portRules: [{ ...port, family: 6 }] }],
    ["a port rule with text", { portRules: [{ ...port, last: "198.51.100.9 }" }] }],
    [
      "a port rule with another form of an address",
      { portRules: [{ ...port, family: 6, first: "2001:DB8::1", last: "2001:db8::2" }] },
    ],
    ["a port rule that ends before it begins", { portRules: [{ ...port, first: "198.51.100.10" }] }],
    ["a port rule of another protocol", { portRules: [{ ...port, protocol: "sctp" }] }],
    ["ports of ICMP", { portRules: [{ ...port, protocol: "icmp" }] }],
    ["port 0", { portRules: [{ ...port, fromPort: 0 }] }],
    ["a port beyond the last", { portRules: [{ ...port, toPort: 65_536 }] }],
    ["half a port", { portRules: [{ ...port, toPort: 80.5 }] }],
    ["ports that end before they begin", { portRules: [{ ...port, fromPort: 91 }] }],
    ["a port rule that does not say whose it is", { portRules: [{ ...port, granted: undefined }] }],
  ])("refuses %s", (_, change) => {
    const bad = { ...rules, ...(change as Partial<NetworkRules>) };
    expect(() => checkRules(bad)).toThrow(expect.objectContaining({ code: "InvalidRules" }));
    expect(() => checkShape(bad)).toThrow(expect.objectContaining({ code: "InvalidRules" }));
  });

  it.each<[string, Partial<NetworkRules>]>([
    ["private space among the public", { allow4: ["10.0.0.0/8"] }],
    ["everything, private space included", { allow4: ["0.0.0.0/0"] }],
    ["never-reachable space", { allow4: ["169.254.169.254/32"] }],
    ["public space among the granted", { granted4: ["198.51.100.0/24"] }],
    ["metadata among the granted", { granted6: ["fd00:ec2::/32"] }],
    ["a port rule in private space", { portRules: [{ ...port, first: "10.0.0.1", last: "10.0.0.1" }] }],
    [
      "a port rule that runs into private space",
      { portRules: [{ ...port, first: "9.255.255.255", last: "10.0.0.0" }] },
    ],
    ["a port rule across never-reachable space", { portRules: [{ ...port, first: "126.0.0.0", last: "128.0.0.0" }] }],
    ["a granted port rule in public space", { portRules: [{ ...port, granted: true }] }],
    [
      "a granted port rule that runs out of private space",
      { portRules: [{ ...port, first: "10.255.0.0", last: "11.0.0.0", granted: true }] },
    ],
    ["metadata by a port rule", { portRules: [{ ...port, first: "169.254.169.254", last: "169.254.169.254" }] }],
  ])("refuses %s, whose shape is right", (_, change) => {
    const bad = { ...rules, ...change };
    expect(() => checkShape(bad)).not.toThrow();
    expect(() => checkRules(bad)).toThrow(expect.objectContaining({ code: "InvalidRules" }));
  });
});
