import type { DesiredInstance, InstanceSpec, PortRule } from "@sallyport/contracts";
import { DesiredInstance_Wish, EndReason, InstanceState, IpProtocol, NetworkRules_Mode } from "@sallyport/contracts";
import { describe, expect, it } from "vitest";
import { reportOf, rulesOf, wishOf } from "./convert.ts";

const LISTS = { allowIpv4: [], allowIpv6: [], grantedIpv4: [], grantedIpv6: [], portRules: [] };
const SPEC: InstanceSpec = {
  imageDigest: `sha256:${"a".repeat(64)}`,
  cpuMillis: 500,
  memoryMib: 256,
  pids: 256,
  lifetimeMs: 60_000,
  diskMib: 1_024,
  idleTimeoutMs: 0,
  sleepAfterMs: 0,
  uid: 0,
  gid: 0,
  command: { argv: ["/bin/true"] },
  env: { KEY: "value" },
  workdir: "",
  dns: [],
  network: { generation: 2, mode: NetworkRules_Mode.OPEN, ...LISTS },
};
const DESIRED: DesiredInstance = {
  instanceId: "in-01j00000000000000000000001",
  sandboxId: "sb-01j00000000000000000000001",
  generation: 1,
  wish: DesiredInstance_Wish.RUN,
  spec: SPEC,
  sleepGeneration: 0,
  asleep: false,
};

const OPEN_2 = {
  generation: 2,
  rules: { mode: "open", allow4: [], allow6: [], granted4: [], granted6: [], portRules: [] },
};

const kindOf = (changes: Partial<InstanceSpec>) => wishOf({ ...DESIRED, spec: { ...SPEC, ...changes } })?.want.kind;

describe("a wish", () => {
  it("becomes our own words", () => {
    expect(wishOf(DESIRED)).toEqual({
      instanceId: DESIRED.instanceId,
      sandboxId: DESIRED.sandboxId,
      generation: 1,
      sleep: { generation: 0, asleep: false },
      want: {
        kind: "run",
        spec: {
          imageDigest: SPEC.imageDigest,
          limits: { cpuMillis: 500, memoryMiB: 256, pids: 256 },
          lifetimeMs: 60_000,
          diskMiB: 1_024,
          command: ["/bin/true"],
          env: { KEY: "value" },
          workdir: "/",
          network: OPEN_2,
        },
        network: OPEN_2,
      },
    });
    expect(wishOf({ ...DESIRED, wish: DesiredInstance_Wish.STOP })?.want).toEqual({ kind: "stop" });
    expect(kindOf({ command: undefined })).toBe("run");
  });

  it("carries the newest policy, whether it is in the specification, beside it, or alone", () => {
    const blocked = { mode: NetworkRules_Mode.BLOCKED, ...LISTS };
    const newer = { generation: 3, rules: { ...OPEN_2.rules, mode: "blocked" } };
    expect(wishOf({ ...DESIRED, network: { generation: 3, ...blocked } })?.want).toMatchObject({
      spec: { network: newer },
      network: newer,
    });
    const older = wishOf({ ...DESIRED, network: { generation: 1, ...blocked } })?.want;
    expect(older).toMatchObject({ spec: { network: OPEN_2 }, network: OPEN_2 });
    const alone = wishOf({ ...DESIRED, spec: undefined, network: { generation: 3, ...blocked } })?.want;
    expect(alone).toEqual({ kind: "run", network: newer });
    expect(wishOf({ ...DESIRED, spec: undefined })?.want).toEqual({ kind: "run", network: undefined });
    const bad = { generation: 3, mode: NetworkRules_Mode.UNSPECIFIED, ...LISTS };
    expect(wishOf({ ...DESIRED, network: bad })?.want.kind).toBe("refuse");
  });

  it("may name resolvers, by their addresses", () => {
    const { want } = wishOf({ ...DESIRED, spec: { ...SPEC, dns: ["198.51.100.53", "2001:DB8::0:53"] } }) ?? {};
    expect(want).toMatchObject({ kind: "run", spec: { dns: ["198.51.100.53", "2001:db8::53"] } });
  });

  it("is none without proper ids or a known kind", () => {
    expect(wishOf({ ...DESIRED, instanceId: "../../etc" })).toBeUndefined();
    expect(wishOf({ ...DESIRED, sandboxId: "sb-short" })).toBeUndefined();
    expect(wishOf({ ...DESIRED, wish: DesiredInstance_Wish.UNSPECIFIED })).toBeUndefined();
  });

  it.each<[string, Partial<InstanceSpec>]>([
    ["digest", { imageDigest: "../rootfs" }],
    ["processor time", { cpuMillis: 0 }],
    ["memory", { memoryMib: 0 }],
    ["tasks", { pids: 0 }],
    ["lifetime", { lifetimeMs: 0 }],
    ["command", { command: { argv: [] } }],
    ["NUL in an argument", { command: { argv: ["a\0b"] } }],
    ["NUL in the environment", { env: { KEY: "a\0b" } }],
    ["name of a variable", { env: { "A=B": "" } }],
    ["resolver", { dns: ["198.51.100.53\nnameserver 10.0.0.1"] }],
    ["number of resolvers", { dns: ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"] }],
    ["network", { network: undefined }],
    ["mode of the network", { network: { generation: 1, mode: NetworkRules_Mode.UNSPECIFIED, ...LISTS } }],
  ])("is refused for a bad %s", (_what, changes) => {
    expect(kindOf(changes)).toBe("refuse");
  });
});

const PORT_RULE: PortRule = {
  firstAddress: "10.2.0.0",
  lastAddress: "10.2.0.9",
  protocol: IpProtocol.TCP,
  firstPort: 80,
  lastPort: 90,
  granted: true,
};
const OUR_PORT_RULE = {
  family: 4,
  first: "10.2.0.0",
  last: "10.2.0.9",
  protocol: "tcp",
  fromPort: 80,
  toPort: 90,
  granted: true,
};

describe("network rules", () => {
  const allow = { generation: 1, mode: NetworkRules_Mode.ALLOW, ...LISTS };

  it("are taken as compiling gives them", () => {
    const rules = {
      ...allow,
      allowIpv4: ["198.51.100.0/24"],
      allowIpv6: ["2001:db8::/32"],
      grantedIpv4: ["10.1.0.0/16"],
      grantedIpv6: ["fd00:1::/64"],
      portRules: [PORT_RULE, { ...PORT_RULE, protocol: IpProtocol.ICMP, firstPort: 0, lastPort: 0 }],
    };
    expect(rulesOf(rules)).toEqual({
      mode: "allow",
      allow4: ["198.51.100.0/24"],
      allow6: ["2001:db8::/32"],
      granted4: ["10.1.0.0/16"],
      granted6: ["fd00:1::/64"],
      portRules: [OUR_PORT_RULE, { ...OUR_PORT_RULE, protocol: "icmp", fromPort: 0, toPort: 0 }],
    });
  });

  it.each([
    ["private space among the public", { ...allow, allowIpv4: ["10.0.0.0/8"] }],
    ["everything, private space included", { ...allow, allowIpv4: ["0.0.0.0/0"] }],
    ["never-reachable space", { ...allow, allowIpv4: ["169.254.169.254/32"] }],
    ["public space among the private", { ...allow, grantedIpv4: ["198.51.100.0/24"] }],
    ["metadata among the private", { ...allow, grantedIpv6: ["fd00:ec2::/32"] }],
    ["the other family", { ...allow, allowIpv4: ["2001:db8::/32"] }],
    ["a CIDR that is not canonical", { ...allow, allowIpv4: ["198.51.100.7"] }],
    ["what is no CIDR", { ...allow, allowIpv4: ["accept; flush ruleset"] }],
    ["a port rule of no protocol", { ...allow, portRules: [{ ...PORT_RULE, protocol: IpProtocol.UNSPECIFIED }] }],
    ["a port rule without an address", { ...allow, portRules: [{ ...PORT_RULE, firstAddress: "" }] }],
    [
      "a port rule in public space among the private",
      { ...allow, portRules: [{ ...PORT_RULE, lastAddress: "11.0.0.0" }] },
    ],
    ["lists beside a mode without any", { ...allow, mode: NetworkRules_Mode.OPEN, allowIpv4: ["198.51.100.0/24"] }],
  ])("are refused with %s", (_what, rules) => {
    expect(() => rulesOf(rules)).toThrow();
  });
});

describe("a report", () => {
  const record = {
    version: 1,
    containerId: "bx-01j00000000000000000000001",
    instanceId: DESIRED.instanceId,
    sandboxId: DESIRED.sandboxId,
    generation: 1,
    seq: 5,
    at: 1_800_000_000_000,
    bootId: "boot",
    networkGeneration: 2,
  } as const;

  it("tells the outcome only of what has ended", () => {
    const outcome = { reason: "oom", exitCode: 137 } as const;
    expect(reportOf({ ...record, phase: "stopping", outcome })).toMatchObject({
      state: InstanceState.STOPPING,
      outcome: undefined,
    });
    expect(reportOf({ ...record, phase: "ended", outcome })).toEqual({
      instanceId: DESIRED.instanceId,
      generation: 1,
      seq: 5,
      state: InstanceState.ENDED,
      outcome: {
        reason: EndReason.OOM,
        exitCode: 137,
        signal: undefined,
        message: undefined,
        startErrorField: undefined,
      },
      at: new Date(1_800_000_000_000),
      networkGeneration: 2,
      asleep: false,
      sleepGeneration: 0,
      events: [],
    });
  });
});
