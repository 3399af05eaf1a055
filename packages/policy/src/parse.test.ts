// What a caller may write as a policy or a grant, and how each mistake is named.

import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import { MAX_ALLOW_ENTRIES, NEVER_REACHABLE, PRIVATE, parseGrants, parsePolicy } from "./index.ts";

describe("parsePolicy", () => {
  it("reads the three modes", () => {
    expect(parsePolicy(undefined)).toBe("open");
    expect(parsePolicy("open")).toBe("open");
    expect(parsePolicy("blocked")).toBe("blocked");
    expect(parsePolicy({ allow: [] })).toEqual({ allow: [] });
    expect(parsePolicy({ allow: ["198.51.100.0/24", "2001:DB8::1", "0.0.0.0/0"] })).toEqual({
      allow: ["198.51.100.0/24", "2001:db8::1/128", "0.0.0.0/0"],
    });
  });

  it.each([null, "", "Open", "OPEN", "allow", "none", true, 0, [], ["198.51.100.0/24"], () => "open"])(
    "refuses the unknown mode %j",
    (input) => {
      expect(failure(() => parsePolicy(input))).toMatchObject({ code: "InvalidPolicy", field: "network" });
    },
  );

  it.each([
    {},
    { allow: undefined },
    { allow: null },
    { allow: "198.51.100.0/24" },
    { allow: { 0: "198.51.100.0/24" } },
  ])("refuses %j: no list", (input) => {
    expect(failure(() => parsePolicy(input)).field).toBe("network.allow");
  });

  it("refuses what it does not know", () => {
    expect(failure(() => parsePolicy({ allow: [], deny: [] })).field).toBe("network");
    expect(failure(() => parsePolicy({ allow: [{ cidr: "198.51.100.0/24", port: 443 }] })).field).toBe(
      "network.allow[0]",
    );
    const holed: string[] = ["198.51.100.0/24"];
    holed[2] = "198.51.101.0/24";
    expect(failure(() => parsePolicy({ allow: holed })).field).toBe("network.allow[1]");
  });

  it("names the entry and the field that the caller used", () => {
    const bad = ["198.51.100.0/24", "198.51.101.0/24", "2001:db8::/32", "198.51.100.1/24"];
    expect(failure(() => parsePolicy({ allow: bad })).field).toBe("network.allow[3]");
    expect(failure(() => parsePolicy("x", { field: "policy" })).field).toBe("policy");
  });

  it("refuses duplicates in any spelling, and accepts overlaps", () => {
    const twice = failure(() => parsePolicy({ allow: ["2001:db8::/32", "198.51.100.1", "2001:0DB8::/32"] }));
    expect(twice.field).toBe("network.allow[2]");
    expect(twice.message).toContain("network.allow[0]");
    expect(failure(() => parsePolicy({ allow: ["198.51.100.1", "198.51.100.1/32"] })).field).toBe("network.allow[1]");
    expect(parsePolicy({ allow: ["198.51.100.0/24", "198.51.100.0/25"] })).toBeTypeOf("object");
  });

  it("has a named limit", () => {
    const entries = Array.from({ length: MAX_ALLOW_ENTRIES + 1 }, (_, index) => `198.18.${index >> 8}.${index & 255}`);
    expect(parsePolicy({ allow: entries.slice(1) })).toBeTypeOf("object");
    const error = failure(() => parsePolicy({ allow: entries }));
    expect(error.field).toBe("network.allow");
    expect(error.message).toContain("256");
  });

  it.each(NEVER_REACHABLE.map((row) => [row.cidr, row.reason]))(
    "refuses the never-reachable %s (%s)",
    (cidr, reason) => {
      const error = failure(() => parsePolicy({ allow: [cidr] }));
      expect(error.field).toBe("network.allow[0]");
      expect(error.message).toContain(reason);
      expect(failure(() => parsePolicy({ allow: [cidr] }, { grants: PRIVATE.map((row) => row.cidr) })).field).toBe(
        "network.allow[0]",
      );
    },
  );

  it.each(PRIVATE.map((row) => row.cidr))("refuses the private %s without a grant, takes it with one", (cidr) => {
    const error = failure(() => parsePolicy({ allow: [cidr] }));
    expect(error.field).toBe("network.allow[0]");
    expect(error.hint).toContain("operator must grant");
    expect(parsePolicy({ allow: [cidr] }, { grants: [cidr] })).toEqual({ allow: [cidr] });
  });

  it("wants private entries inside the grants, not beside or around them", () => {
    const grants = parseGrants(["10.1.0.0/16", "10.2.0.0/16"]);
    expect(parsePolicy({ allow: ["10.1.2.0/24", "10.2.0.0/16"] }, { grants })).toBeTypeOf("object");
    expect(failure(() => parsePolicy({ allow: ["10.0.0.0/8"] }, { grants })).field).toBe("network.allow[0]");
    expect(failure(() => parsePolicy({ allow: ["10.3.0.1"] }, { grants })).field).toBe("network.allow[0]");
  });

  it("takes the documentation ranges as public", () => {
    expect(parsePolicy({ allow: ["198.51.100.0/24", "2001:db8::/32"] })).toBeTypeOf("object");
  });
});

describe("parseGrants", () => {
  it("takes private CIDRs only", () => {
    expect(parseGrants(undefined)).toEqual([]);
    expect(parseGrants(["10.0.0.0/8", "FD00::/16"])).toEqual(["10.0.0.0/8", "fd00::/16"]);
    expect(failure(() => parseGrants("10.0.0.0/8")).field).toBe("grants");
    expect(failure(() => parseGrants(["10.0.0.0/8", "0.0.0.0/0"])).field).toBe("grants[1]");
    expect(failure(() => parseGrants(["198.51.100.0/24"])).field).toBe("grants[0]");
    expect(failure(() => parseGrants(["fd00:ec2::/32"])).field).toBe("grants[0]");
    expect(failure(() => parseGrants(["8.0.0.0/6"])).field).toBe("grants[0]");
  });
});
