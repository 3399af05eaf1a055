// A network policy that changes under a running sandbox, ports and grants included, against real packets.

import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { evaluate } from "@sallyport/policy";
import type { NetworkPolicy } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { FarServer } from "./far-server.ts";
import { startFarServer } from "./far-server.ts";
import type { FlowName, Flows, Probe } from "./probe.ts";
import { probe, startFlows, startResets } from "./probe.ts";
import type { Workspace } from "./workspace.ts";
import { newWorkspace } from "./workspace.ts";

const SALLYPORT = "/opt/sallyport/current/bin/sallyport";
const [PORT, OTHER_PORT] = [8_080, 8_081];

let workspace: Workspace;
let far: FarServer;
beforeAll(async () => {
  workspace = await newWorkspace("policy");
  far = await startFarServer([PORT, OTHER_PORT]);
});
afterAll(async () => {
  await far[Symbol.asyncDispose]();
  await workspace.client[Symbol.asyncDispose]();
});

function create(network: NetworkPolicy): Promise<Sandbox> {
  return Sandbox.create({ client: workspace.client, network });
}

/** `sallyport workspace WORD NAME …`, as the operator. */
async function operator(word: string, ...rest: readonly string[]): Promise<string> {
  const env = { PATH: "/usr/bin:/bin", SALLYPORT_HOME: inject("home") };
  return (await promisify(execFile)(SALLYPORT, ["workspace", word, workspace.name, ...rest], { env })).stdout;
}

/** What is on its way when an update is done has come by then, and what each side told last is newer than the update. */
const SETTLING_MS = 500;
const WATCHED_MS = 1_000;

/** The flows that pass, each way, while they are watched. */
async function passing(flows: Flows): Promise<{ out: FlowName[]; in: FlowName[] }> {
  await sleep(SETTLING_MS);
  const [out, { received }] = [await far.received(), flows.state()];
  await sleep(WATCHED_MS);
  const [outThen, { received: receivedThen }] = [await far.received(), flows.state()];
  const names: FlowName[] = ["tcp4", "tcp6", "udp4", "udp6"];
  return {
    out: names.filter((name) => outThen[name] !== out[name]),
    in: names.filter((name) => receivedThen[name] !== received[name]),
  };
}

const everyFlow = (names: readonly FlowName[]) => ({ out: names, in: names });

describe("an update of a running sandbox", () => {
  it("cuts established flows both ways, leaves those that are still allowed, and lets new ones through", async () => {
    await using sandbox = await create("open");
    await using flows = await startFlows(sandbox, PORT, far.inside);
    await expect.poll(() => Math.min(...Object.values(flows.state().received)), { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await passing(flows)).toEqual(everyFlow(["tcp4", "tcp6", "udp4", "udp6"]));

    await sandbox.updateNetworkPolicy({ allow: [{ cidr: far.inside[0], protocol: "tcp", ports: [PORT] }] });
    expect(await passing(flows)).toEqual(everyFlow(["tcp4"]));

    const resets = await startResets(sandbox, PORT, far.inside[0]);
    await sandbox.updateNetworkPolicy("blocked");
    await resets.some();
    expect(Object.values(flows.state().ended).filter((end) => end !== "ECONNRESET")).toEqual([]);
    expect(await passing(flows)).toEqual(everyFlow([]));
    const everywhere: Probe[] = far.inside.flatMap((address) => [
      ["tcp", address, PORT],
      ["udp", address, PORT],
    ]);
    expect(await probe(sandbox, everywhere)).toEqual(Array(4).fill("ECONNREFUSED"));

    await sandbox.updateNetworkPolicy("open");
    expect(await probe(sandbox, everywhere)).toEqual(Array(4).fill("answer"));
    expect(await passing(flows)).toEqual(everyFlow(["udp4", "udp6"]));
  });

  it("holds at waking where it came asleep, and wakes nobody", async () => {
    await using sandbox = await create("open");
    await using flows = await startFlows(sandbox, PORT, far.inside);
    await expect.poll(() => Math.min(...Object.values(flows.state().received)), { timeout: 10_000 }).toBeGreaterThan(0);
    await sandbox.sleep();
    await sandbox.updateNetworkPolicy({ allow: [far.outside[0]] });
    expect(sandbox.info).toMatchObject({ networkGeneration: 2, networkPending: false });
    expect((await Sandbox.fromId(sandbox.id, { client: workspace.client })).info.asleep).toBe(true);
    await sandbox.wake();
    expect(await passing(flows)).toEqual(everyFlow([]));
    expect(
      await probe(sandbox, [
        ["tcp", far.inside[0], PORT],
        ["tcp", far.outside[0], PORT],
      ]),
    ).toEqual(["ECONNREFUSED", "answer"]);
  });
});

/** Destinations with a server behind them, then some that nothing reaches. */
function destinations(): Probe[] {
  const served = [...far.inside, ...far.outside, ...far.private];
  return [
    ...served.flatMap((address): Probe[] => [
      ["tcp", address, PORT],
      ["tcp", address, OTHER_PORT],
      ["udp", address, PORT],
      ["udp", address, OTHER_PORT],
      ["icmp", address, 0],
    ]),
    ["tcp", far.host[0], PORT],
    ["udp", far.host[1], PORT],
    ["icmp", far.host[0], 0],
    ["tcp", "169.254.169.254", 80],
    ["udp", "169.254.169.254", 53],
    ["tcp", "fd00:ec2::254", 80],
    ["tcp", "100.64.0.1", PORT],
  ];
}

function policies(): NetworkPolicy[] {
  const [inside4, inside6] = far.inside;
  const [private4, private6] = far.privateNetworks;
  return [
    "open",
    { allow: [{ cidr: inside4, protocol: "tcp", ports: [PORT] }] },
    { allow: [{ cidr: far.public[0], ports: [OTHER_PORT] }, inside6] },
    {
      allow: [
        { cidr: "2001:db8::/32", protocol: "tcp", ports: [[8_000, PORT]] },
        { cidr: far.outside[0], protocol: "udp" },
      ],
    },
    {
      allow: [
        { cidr: "0.0.0.0/0", protocol: "icmp" },
        { cidr: inside6, protocol: "icmp" },
      ],
    },
    {
      allow: [
        { cidr: private4, protocol: "tcp" },
        { cidr: private6, protocol: "udp", ports: [PORT] },
      ],
    },
    { allow: ["0.0.0.0/0", "::/0"] },
    "blocked",
  ];
}

function wordOf([kind, address, port]: Probe): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return kind === "icmp" ? `icmp://${host}` : `${kind}://${host}:${port}`;
}

/** gVisor tells sockets for echoes nothing of what became of one. */
const refusalOf = ([kind]: Probe) => (kind === "icmp" ? "TimeoutError" : "ECONNREFUSED");

describe("what gets through", () => {
  it("is what evaluate and explain say, under policy after policy", async () => {
    for (const grant of far.privateNetworks) await operator("grant-cidr", grant);
    await using sandbox = await create("open");
    const all = destinations();
    for (const policy of policies()) {
      await sandbox.updateNetworkPolicy(policy);
      const outcomes = await probe(sandbox, all);
      const met = all.map((one, index) => `${wordOf(one)} ${outcomes[index]}`);
      const said = all.map((one) => {
        const { allowed } = evaluate(policy, far.privateNetworks, wordOf(one), { ownAddresses: far.host });
        return `${wordOf(one)} ${allowed ? "answer" : refusalOf(one)}`;
      });
      expect(met, JSON.stringify(policy)).toEqual(said);
      const explained = await Promise.all(all.map((one) => sandbox.explain(wordOf(one))));
      const told = all.map(
        (one, index) => `${wordOf(one)} ${explained[index]?.allowed === true ? "answer" : refusalOf(one)}`,
      );
      expect(told, JSON.stringify(policy)).toEqual(said);
    }
  });
});

describe("a private network", () => {
  it("is reached where the operator granted it, until it is taken back, by running sandboxes too", async () => {
    const entries = far.private;
    for (const grant of far.privateNetworks) await operator("revoke-cidr", grant);
    await expect(create({ allow: entries })).rejects.toMatchObject({
      code: "InvalidArgument",
      field: "network.allow[0]",
    });
    for (const grant of far.privateNetworks) await operator("grant-cidr", grant);
    expect((await operator("grants")).trim().split("\n").sort()).toEqual(far.privateNetworks.toSorted());
    await using sandbox = await create({ allow: entries });
    await using flows = await startFlows(sandbox, PORT, far.private);
    await expect.poll(() => Math.min(...Object.values(flows.state().received)), { timeout: 10_000 }).toBeGreaterThan(0);
    await operator("revoke-cidr", far.privateNetworks[0]);
    await expect.poll(() => passing(flows), { timeout: 20_000 }).toEqual(everyFlow(["tcp6", "udp6"]));
    await operator("revoke-cidr", far.privateNetworks[1]);
    await expect.poll(() => passing(flows), { timeout: 20_000 }).toEqual(everyFlow([]));
    // It still states what it stated: the grant comes back, and with it the way.
    await operator("grant-cidr", far.privateNetworks[0]);
    await expect.poll(() => probe(sandbox, [["tcp", far.private[0], PORT]]), { timeout: 10_000 }).toEqual(["answer"]);
  });
});
