// Policies at the command line: stated, shown, changed, explained; against real protos on real sockets, or none at all.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IpProtocol } from "@sallyport/contracts";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../test/run-cli.ts";

let platform: FakePlatform;
let directory: string;
beforeEach(async () => {
  platform = await FakePlatform.start();
  directory = mkdtempSync(join(tmpdir(), "sallyport-cli-"));
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const run = (...argv: string[]) => cli(platform, argv);
const lines = (text: string) => text.trimEnd().split("\n");
const detached = async (...options: string[]) => (await run("run", "-d", ...options)).stdout.trim();
const networkOf = (id: string) => platform.sandboxes.get(id)?.view.network;
const MIXED = [
  "--allow",
  "198.51.100.0/24",
  "--allow",
  "tcp://198.51.100.7:443,8000-8100",
  "--allow",
  "[2001:db8::/32]:53",
];

describe("entries of an allow list", () => {
  it("are CIDRs, with ports and protocols where they are meant", async () => {
    const id = await detached(...MIXED, "--allow", "icmp://2001:db8::7", "--dns", "198.51.100.53");
    expect(platform.sandboxes.get(id)?.request).toMatchObject({
      dns: ["198.51.100.53"],
      network: {
        mode: {
          $case: "allow",
          value: {
            cidrs: [],
            rules: [
              { cidr: "198.51.100.0/24", protocol: IpProtocol.UNSPECIFIED, ports: [] },
              {
                cidr: "198.51.100.7",
                protocol: IpProtocol.TCP,
                ports: [
                  { first: 443, last: 443 },
                  { first: 8_000, last: 8_100 },
                ],
              },
              { cidr: "2001:db8::/32", protocol: IpProtocol.UNSPECIFIED, ports: [{ first: 53, last: 53 }] },
              { cidr: "2001:db8::7", protocol: IpProtocol.ICMP, ports: [] },
            ],
          },
        },
      },
    });
    const shown = lines((await run("policy", "show", id)).stdout);
    expect(shown).toEqual([
      "allow, 4 entries (generation 1)",
      "  198.51.100.0/24",
      "  tcp://198.51.100.7:443,8000-8100",
      "  [2001:db8::/32]:53",
      "  icmp://2001:db8::7",
      "resolvers: 198.51.100.53",
    ]);
  });

  it.each([
    "gre://198.51.100.7",
    "198.51.100.7:",
    "198.51.100.7:http",
    "tcp://198.51.100.7:1-2-3",
    "udp://[2001:db8::1]:x",
  ])("are not written as %s", async (entry) => {
    const { code, stderr } = await run("run", "-d", "--allow", entry);
    expect(code).toBe(2);
    expect(stderr).toContain("--allow");
    expect(platform.calls).toEqual([]);
  });
});

describe("policy set", () => {
  it("takes a word, JSON, entries or a file", async () => {
    const id = await detached("--name", "db");
    expect(await run("policy", "set", "db", "blocked")).toEqual({ code: 0, stdout: `${id}\n`, stderr: "" });
    expect(networkOf(id)?.mode?.$case).toBe("blocked");
    await run("policy", "set", id, "open");
    expect(networkOf(id)?.mode?.$case).toBe("open");
    await run("policy", "set", id, '{"allow":["198.51.100.0/24"]}');
    expect(networkOf(id)?.mode).toMatchObject({ value: { cidrs: ["198.51.100.0/24"] } });
    await run("policy", "set", id, "--allow", "2001:db8::/32");
    expect(networkOf(id)?.mode).toMatchObject({ value: { cidrs: ["2001:db8::/32"] } });
    const file = join(directory, "policy.json");
    writeFileSync(file, '{\n  "allow": [{ "cidr": "198.51.100.0/24", "ports": [443] }]\n}\n');
    const set = await run("policy", "set", id, "--file", file, "--json");
    expect(JSON.parse(set.stdout)).toEqual({
      id,
      network: { allow: [{ cidr: "198.51.100.0/24", ports: [443] }] },
      networkGeneration: 6,
      networkPending: false,
      dns: [],
    });
    writeFileSync(file, "blocked\n");
    expect((await run("policy", "set", id, "--file", file)).code).toBe(0);
    expect(networkOf(id)?.mode?.$case).toBe("blocked");
  });

  it("takes one of them, and says what it takes", async () => {
    const id = await detached();
    const broken = join(directory, "broken.json");
    writeFileSync(broken, "{");
    for (const argv of [
      [],
      ["closed"],
      ["{"],
      ["open", "--allow", "198.51.100.0/24"],
      ["open", "--file", "x"],
      ["--allow", "198.51.100.0/24", "--file", "x"],
      ["--file", broken],
      ["--file", join(directory, "none")],
    ]) {
      const { code, stderr, stdout } = await run("policy", "set", id, ...argv);
      expect({ code, stdout }, argv.join(" ")).toEqual({ code: 2, stdout: "" });
      expect(stderr).not.toBe("");
    }
    expect(networkOf(id)?.mode?.$case).toBe("open");
    const shape = await run("policy", "set", id, '{"allow":[{"cidr":"198.51.100.0/24","port":443}]}', "--json");
    expect(shape.code).toBe(1);
    expect(JSON.parse(shape.stderr)).toMatchObject({ error: { code: "InvalidArgument", field: "network.allow[0]" } });
  });

  it("tells when the policy is kept and pending", async () => {
    const id = await detached();
    platform.fail("updateNetworkPolicy", { code: "Unavailable", field: "network" });
    const { code, stderr } = await run("policy", "set", id, "blocked", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "Unavailable", field: "network", retryable: true } });
    const view = platform.sandboxes.get(id)?.view;
    if (view === undefined) throw new Error("no sandbox");
    view.networkPending = true;
    expect((await run("policy", "show", id)).stdout).toContain("open (generation 1, not in the kernel yet");
  });
});

describe("policy explain", () => {
  it("asks the platform about a sandbox", async () => {
    const id = await detached("--name", "db", "--block-network");
    expect((await run("policy", "explain", "db", "198.51.100.7:443")).stdout).toBe(
      "denied: blocked\nso says the policy of 198.51.100.7:443\nhint: use another policy\n",
    );
    const json = await run("policy", "explain", id, "198.51.100.7", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ allowed: false, rule: "blocked" });
    const refused = await run("policy", "explain", id, "??");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("destination");
  });

  it("needs no platform for a policy that is at hand", async () => {
    const alone = (...argv: string[]) => cli(undefined, ["policy", "explain", ...argv]);
    const policy = '{"allow":[{"cidr":"198.51.100.0/24","protocol":"tcp","ports":[443]},"10.1.0.0/16"]}';
    const file = join(directory, "policy.json");
    writeFileSync(file, policy);
    const granted = ["--grant", "10.1.0.0/16"];
    const allowed = await alone("--policy", policy, ...granted, "198.51.100.7:443");
    expect(allowed).toMatchObject({ code: 0, stderr: "" });
    expect(lines(allowed.stdout)[0]).toBe("allowed: allow 198.51.100.0/24");
    const denied = await alone("--policy", file, ...granted, "198.51.100.7:80", "--json");
    expect(JSON.parse(denied.stdout)).toMatchObject({ allowed: false, rule: "unlisted" });
    const inside = await alone("--policy", file, ...granted, "icmp://10.1.2.3");
    expect(lines(inside.stdout)[0]).toBe("allowed: grant 10.1.0.0/16");
    expect(lines((await alone("--policy", "open", "169.254.169.254")).stdout)[0]).toBe("denied: never 169.254.0.0/16");
    expect(lines((await alone("--policy", "blocked", "198.51.100.7")).stdout)[0]).toBe("denied: blocked");
  });

  it.each([
    ["a sandbox without a destination", ["sb"]],
    ["too many words", ["sb", "198.51.100.7", "x"]],
    ["a policy and a sandbox", ["--policy", "open", "sb", "198.51.100.7"]],
    ["a grant without a policy", ["--grant", "10.0.0.0/8", "sb", "198.51.100.7"]],
    ["a policy that is none", ["--policy", '{"allow":["10.0.0.0/8"]}', "198.51.100.7"]],
    ["a grant that is none", ["--policy", "open", "--grant", "0.0.0.0/0", "198.51.100.7"]],
    ["a destination that is none", ["--policy", "open", "host.example"]],
    ["a file that is not there", ["--policy", "/nowhere/policy.json", "198.51.100.7"]],
  ])("is wrong usage with %s", async (_what, argv) => {
    const { code, stderr, stdout } = await cli(undefined, ["policy", "explain", ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).not.toBe("");
  });
});

describe("denials among the events", () => {
  it("are told in words, alone where they are asked for", async () => {
    const id = await detached();
    const tell = (detail: Record<string, unknown>) => platform.sandboxes.get(id)?.tell("network_denied", detail);
    const hint = "add it\u001b[2J";
    tell({ destination: "198.51.100.7", port: 443, protocol: "tcp", rule: "unlisted", hint, count: 3 });
    tell({ destination: "2001:db8::7", protocol: "icmp", rule: "never host", count: 1 });
    tell({ more: 900 });
    tell({ rule: "of a later platform" });
    const told = lines((await run("events", id, "--type", "network_denied")).stdout);
    expect(told.map((line) => line.replace(/^ +(\d+) {2}\S+ {2}/, "$1 "))).toEqual([
      "2 network_denied  tcp://198.51.100.7:443 unlisted, 3 packets; add it\\x1b[2J",
      "3 network_denied  icmp://[2001:db8::7] never host, 1 packet",
      "4 network_denied  900 packets more",
      '5 network_denied  {"rule":"of a later platform"}',
    ]);
    const json = lines((await run("events", id, "--type", "network_denied", "--type", "created", "--json")).stdout);
    expect(json.map((line) => (JSON.parse(line) as { seq: number }).seq)).toEqual([1, 2, 3, 4, 5]);
    expect((await run("events", id, "--type", "asleep")).stdout).toBe("");
  });
});
