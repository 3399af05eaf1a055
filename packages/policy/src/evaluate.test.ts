// The answers that people read: which rule decided, and why; and the compiled data of known policies.

import { describe, expect, it } from "vitest";
import { compile, evaluate, NEVER_REACHABLE, type NetworkPolicy, PRIVATE } from "./index.ts";

const everything: NetworkPolicy = { allow: ["0.0.0.0/0", "::/0"] };

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
  ])("%j with grants %j: %s is %s by %s", (policy, grants, address, allowed, rule) => {
    const evaluation = evaluate(policy, grants, address);
    expect(evaluation).toMatchObject({ allowed, rule });
    expect(evaluation.why.length).toBeGreaterThan(10);
  });

  it("refuses what is no address", () => {
    expect(() => evaluate("open", [], "example.com")).toThrow(expect.objectContaining({ field: "destination" }));
  });
});

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

describe("the tables", () => {
  it("give each row a reason and a source, once", () => {
    const rows = [...NEVER_REACHABLE, ...PRIVATE];
    expect(rows.every((row) => row.reason !== "" && row.source !== "")).toBe(true);
    expect(new Set(rows.map((row) => row.cidr)).size).toBe(rows.length);
  });
});
