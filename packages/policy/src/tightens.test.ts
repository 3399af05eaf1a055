// Known changes of rules: which of them take something away. The general case is held against the bit oracle.

import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import { compile, type NetworkPolicy, tightens } from "./index.ts";

const NET = "198.51.100.0/24";
const web = { cidr: NET, protocol: "tcp", ports: [443] } as const;

describe("tightens", () => {
  it.each<[NetworkPolicy, NetworkPolicy, boolean]>([
    ["open", "open", false],
    ["open", "blocked", true],
    ["blocked", "open", false],
    ["blocked", { allow: [NET] }, false],
    [{ allow: [] }, "blocked", false],
    ["open", { allow: ["0.0.0.0/0", "::/0"] }, false],
    [{ allow: ["0.0.0.0/0", "::/0"] }, "open", false],
    ["open", { allow: ["0.0.0.0/0"] }, true],
    [{ allow: ["10.1.0.0/16"] }, "open", true],
    [{ allow: [NET] }, { allow: ["198.51.100.0/25", "198.51.100.128/25"] }, false],
    [{ allow: [NET] }, { allow: ["198.51.100.0/25", "198.51.100.129/32"] }, true],
    [{ allow: [web] }, { allow: [NET] }, false],
    [{ allow: [NET] }, { allow: [web] }, true],
    [{ allow: [web] }, "open", false],
    [{ allow: [web] }, { allow: [] }, true],
    [{ allow: [web] }, { allow: [{ ...web, protocol: "udp" }] }, true],
    [{ allow: [web] }, { allow: [{ ...web, ports: [[400, 500]] }] }, false],
    [{ allow: [web] }, { allow: [{ ...web, ports: [442, 444] }] }, true],
    [{ allow: [{ ...web, ports: [[400, 500]] }] }, { allow: [{ ...web, ports: [[400, 499]] }] }, true],
    [{ allow: [{ ...web, ports: [[400, 500]] }] }, { allow: [{ ...web, ports: [[401, 500]] }] }, true],
    // Held by several together.
    [
      { allow: [{ ...web, ports: [[400, 500]] }] },
      {
        allow: [
          "198.51.100.0/26",
          {
            ...web,
            cidr: "198.51.100.64/26",
            ports: [
              [400, 450],
              [451, 500],
            ],
          },
          { ...web, cidr: "198.51.100.128/25", ports: [[1, 1000]] },
        ],
      },
      false,
    ],
    // Held at both ends, not between.
    [
      { allow: [web] },
      {
        allow: [
          { ...web, cidr: "198.51.100.0/26" },
          { ...web, cidr: "198.51.100.192/26" },
        ],
      },
      true,
    ],
    // TCP, UDP and ICMP are not every protocol.
    [
      { allow: [NET] },
      {
        allow: [
          { cidr: NET, protocol: "icmp" },
          { cidr: NET, ports: [[1, 65_535]] },
        ],
      },
      true,
    ],
    [{ allow: [{ cidr: NET, protocol: "icmp" }] }, { allow: [{ cidr: NET, ports: [[1, 65_535]] }] }, true],
    [{ allow: [{ cidr: "2001:db8::/32", protocol: "icmp" }] }, { allow: ["2001:db8::/33"] }, true],
  ])("%j to %j: %s", (before, after, answer) => {
    expect(tightens(compile(before, ["10.0.0.0/8"]), compile(after, ["10.0.0.0/8"]))).toBe(answer);
  });

  it("sees grants go", () => {
    const policy: NetworkPolicy = { allow: [NET, { cidr: "10.1.0.0/16", ports: [5432] }] };
    expect(tightens(compile(policy, ["10.0.0.0/8"]), compile(policy, ["10.1.0.0/17"]))).toBe(true);
    expect(tightens(compile(policy, ["10.1.0.0/16"]), compile(policy, ["10.0.0.0/8"]))).toBe(false);
  });

  it("refuses rules that are none", () => {
    const rules = compile({ allow: [web] }, []);
    const bad = { ...rules, portRules: rules.portRules.map((rule) => ({ ...rule, first: "198.51.100" })) };
    expect(failure(() => tightens(bad, rules))).toMatchObject({
      field: "rules.portRules",
      message: 'rules.portRules: "198.51.100" is not an IP address',
    });
    expect(failure(() => tightens(rules, { ...rules, allow4: ["198.51.100.1/24"] })).field).toBe("rules");
  });
});
