// What a policy denies is told: at once to the program, and as events to who looks.

import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Json, NetworkPolicy, SandboxEvent } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { FarServer } from "./far-server.ts";
import { startFarServer } from "./far-server.ts";
import type { Probe } from "./probe.ts";
import { probe } from "./probe.ts";
import type { Workspace } from "./workspace.ts";
import { newWorkspace } from "./workspace.ts";

const SALLYPORT = "/opt/sallyport/current/bin/sallyport";
const [PORT, OTHER_PORT] = [8_080, 8_081];

let workspace: Workspace;
let far: FarServer;
beforeAll(async () => {
  workspace = await newWorkspace("denials");
  far = await startFarServer([PORT]);
});
afterAll(async () => {
  await far[Symbol.asyncDispose]();
  await workspace.client[Symbol.asyncDispose]();
});

type Detail = Readonly<Record<string, Json>>;

async function denialsOf(sandbox: Sandbox): Promise<SandboxEvent[]> {
  return (await Array.fromAsync(sandbox.events())).filter(({ type }) => type === "network_denied");
}

async function detailsOf(sandbox: Sandbox): Promise<Detail[]> {
  return (await denialsOf(sandbox)).map(({ detail }) => detail as Detail);
}

/** Packets that were told of, one by one or in a sum. */
function packetsIn(details: readonly Detail[]): number {
  return details.reduce((sum, { count, more }) => sum + Number(count ?? more), 0);
}

/** One packet to each is denied, under each policy; with the rule that is to be told. */
function denied(): (readonly [policy: NetworkPolicy, rules: readonly (readonly [Probe, rule: string])[]])[] {
  const common: readonly (readonly [Probe, string])[] = [
    [["tcp", "169.254.169.254", 80], "never 169.254.0.0/16"],
    [["tcp", "fd00:ec2::254", 80], "never fd00:ec2::/32"],
    [["tcp", far.host[0], PORT], "never host"],
    [["udp", far.host[1], PORT], "never host"],
  ];
  const [inside4, inside6] = far.inside;
  return [
    [
      { allow: [{ cidr: inside4, protocol: "tcp", ports: [PORT] }] },
      [
        ...common,
        [["tcp", inside4, OTHER_PORT], "unlisted"],
        [["udp", inside4, PORT], "unlisted"],
        [["icmp", inside4, 0], "unlisted"],
        [["tcp", inside6, PORT], "unlisted"],
        [["icmp", inside6, 0], "unlisted"],
        [["tcp", far.private[0], PORT], "private 10.0.0.0/8"],
      ],
    ],
    [
      "open",
      [
        [["tcp", far.private[0], PORT], "private 10.0.0.0/8"],
        [["udp", far.private[1], PORT], "private fc00::/7"],
      ],
    ],
    [
      "blocked",
      [
        [["tcp", inside4, PORT], "blocked"],
        [["udp", inside6, PORT], "blocked"],
      ],
    ],
  ];
}

function wordOf([kind, address, port]: Probe): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return kind === "icmp" ? `icmp://${host}` : `${kind}://${host}:${port}`;
}

describe("a denial", () => {
  it("is an event with destination, rule and hint, as explain says; by SDK, CLI and REST", async () => {
    await using sandbox = await Sandbox.create({ client: workspace.client });
    for (const [policy, rules] of denied()) {
      await sandbox.updateNetworkPolicy(policy);
      const before = (await denialsOf(sandbox)).at(-1)?.seq ?? 0;
      const answers = await probe(
        sandbox,
        rules.map(([one]) => one),
      );
      expect(answers).toEqual(rules.map(([[kind]]) => (kind === "icmp" ? "TimeoutError" : "ECONNREFUSED")));
      const expected = await Promise.all(
        rules.map(async ([one, rule]) => {
          const [protocol, destination, port] = one;
          const told = await sandbox.explain(wordOf(one));
          expect(told, wordOf(one)).toMatchObject({ allowed: false, rule });
          return {
            destination,
            ...(protocol === "icmp" ? {} : { port }),
            protocol,
            rule,
            ...(told.hint === "" ? {} : { hint: told.hint }),
            count: 1,
          };
        }),
      );
      const told = async () =>
        (await denialsOf(sandbox)).filter(({ seq }) => seq > before).map(({ detail }) => detail as Detail);
      await expect.poll(() => told(), { timeout: 10_000 }).toHaveLength(expected.length);
      expect(await told(), JSON.stringify(policy)).toEqual(expect.arrayContaining(expected));
    }
    const events = await denialsOf(sandbox);
    const env = { PATH: "/usr/bin:/bin", SALLYPORT_API_URL: workspace.url, SALLYPORT_TOKEN: workspace.token };
    const words = ["events", sandbox.id, "--type", "network_denied", "--json"];
    const { stdout } = await promisify(execFile)(SALLYPORT, words, { env });
    const printed = stdout.trim().split("\n");
    expect(printed.map((line) => JSON.parse(line) as unknown)).toEqual(JSON.parse(JSON.stringify(events)));
    const sent = await restEvents(sandbox.id);
    expect(sent.filter(({ type }) => type === "network_denied").map(({ detail }) => detail)).toEqual(
      events.map(({ detail }) => detail),
    );
  });

  it("is summed up where there are many: no packet uncounted, no more events than a minute may have", async () => {
    await using sandbox = await Sandbox.create({ client: workspace.client, network: "blocked" });
    expect(await flood(sandbox, 500, 1)).toBe(500);
    await expect.poll(async () => packetsIn(await detailsOf(sandbox)), { timeout: 15_000 }).toBe(500);
    // More destinations than a window tells, for more windows than a minute has events.
    await flood(sandbox, 20_000, 10);
    await sleep(3_000);
    const details = await detailsOf(sandbox);
    expect(details.length).toBeLessThanOrEqual(100);
    expect(details.filter(({ more }) => typeof more === "number").length).toBeGreaterThan(0);
  });
});

// Datagrams to ever other destinations, spread over some seconds. Prints how many the kernel took.
const FLOOD = `
import socket, sys, time
count, seconds = int(sys.argv[1]), float(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent, start = 0, time.monotonic()
for n in range(count):
    try:
        s.sendto(b"x", ("198.51.100.%d" % (n % 250 + 1), 9 + n // 250))
        sent += 1
    except OSError:
        pass
    time.sleep(max(0, start + seconds * n / count - time.monotonic()))
print(sent)
`;

async function flood(sandbox: Sandbox, count: number, seconds: number): Promise<number> {
  const { stdout } = await sandbox.run(["python3", "-c", FLOOD, String(count), String(seconds)], { check: true });
  return Number(stdout);
}

interface RestEvent {
  readonly type: string;
  readonly detail: Detail;
}

/** Those so far, as server-sent events. */
async function restEvents(sandboxId: string): Promise<RestEvent[]> {
  const url = `${inject("restUrl")}/v1/sandboxes/${sandboxId}/events`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${workspace.token}` } });
  expect(response.status).toBe(200);
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith("data: "));
  return lines.map((line) => (JSON.parse(line.slice("data: ".length)) as { event: RestEvent }).event);
}
