// Ten sandboxes flood with packets, connections, look-ups and what is denied; an eleventh goes on working.
import { setTimeout as delay } from "node:timers/promises";
import type { NetworkPolicy } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { fromZone, startDnsServer } from "@sallyport/testkit/dns-server";
import { startPlatform } from "@sallyport/testkit/platform";
import { startTargetNetwork } from "@sallyport/testkit/target-network";
import { expect, it } from "vitest";
import { FAR_PORT, SINK_PORT, startFarServer } from "./far-server.ts";
import { FLOODS, type FloodName, MEASURE, type Measured } from "./flood-programs.ts";
import { coresBetween, processorTime } from "./processor-time.ts";

const FLOOD_S = Number(process.env["SALLYPORT_SOAK_FLOOD_SECONDS"] ?? "60");
const QUIET_S = 15;
/** Of one processor, each: the test is about what they share beyond the processors, not about these. */
const FLOODER_CPU = 0.1;
/** What the neighbour keeps, against ten idle sandboxes: this part of its throughput, round trips so many times as long. */
const KEPT = { throughput: 1 / 4, roundTrip: 5 } as const;
/** Below, there was no flood: attempts in a second, of all sandboxes of a kind. */
const LEAST_PER_S = 50;

interface Flooder {
  readonly kind: FloodName;
  readonly sandbox: Sandbox;
  readonly args: readonly string[];
}

it(`works beside ten sandboxes that flood for ${FLOOD_S} s`, async () => {
  await using targets = await startTargetNetwork();
  await using far = await startFarServer(targets);
  await using names = await startDnsServer({ respond: fromZone({}) });
  await using platform = await startPlatform({ env: { SALLYPORT_DNS_UPSTREAM: names.address } });
  const { token } = await platform.createWorkspace("flood");
  await using client = new Client({ url: platform.apiUrl, token });
  await using sandboxes = new AsyncDisposableStack();
  const create = async (network: NetworkPolicy, cpu?: number) =>
    sandboxes.use(await Sandbox.create({ client, network, ...(cpu === undefined ? {} : { cpu }) }));

  const neighbour = await create("open");
  const flooders: Flooder[] = [];
  const add = async (kind: FloodName, count: number, network: NetworkPolicy, args: readonly (string | number)[]) => {
    for (let made = 0; made < count; made += 1) {
      flooders.push({ kind, sandbox: await create(network, FLOODER_CPU), args: args.map(String) });
    }
  };
  await add("packets", 3, "open", [targets.insideIpv4, SINK_PORT]);
  await add("connections", 3, "open", [targets.insideIpv4, targets.port]);
  await add("look-ups", 2, "open", []);
  await add("denied", 1, "blocked", [targets.outsideIpv4]);
  await add("denied", 1, "open", [targets.hostIpv4, "169.254.169.254", "100.64.0.1"]);

  const measure = async (seconds: number): Promise<Measured> => {
    const args = [targets.insideIpv4, String(FAR_PORT), String(seconds)];
    return JSON.parse((await neighbour.run(["python3", "-c", MEASURE, ...args], { check: true })).stdout) as Measured;
  };
  const before = await measure(QUIET_S);

  await using floods = new AsyncDisposableStack();
  const tried = await Promise.all(
    flooders.map(async ({ kind, sandbox, args }) => {
      const { count, flood } = await startFlood(sandbox, FLOODS[kind], args);
      floods.use(flood);
      return { kind, count };
    }),
  );
  const counts = () => ({
    ...far.arrived(),
    lookUps: names.asked.length,
    tried: sumBy(tried.map(({ kind, count }) => [kind, count()])),
  });
  const [from, timeFrom, begun] = [counts(), await processorTime(platform), performance.now()];
  const during = await measure(FLOOD_S);
  const seconds = (performance.now() - begun) / 1_000;
  const [to, cores] = [counts(), coresBetween(timeFrom, await processorTime(platform), seconds)];
  // Whoever comes now is served too.
  await using newcomer = await Sandbox.create({ client });
  expect((await newcomer.run(["echo", "hello"])).stdout).toBe("hello\n");
  await floods.disposeAsync();
  const after = await measure(QUIET_S);

  const told = sumBy(await Promise.all(flooders.map(async ({ kind, sandbox }) => [kind, await toldDenials(sandbox)])));
  const perSecond = (name: "datagrams" | "connections" | "lookUps") => Math.round((to[name] - from[name]) / seconds);
  const triedPerSecond = Object.fromEntries(
    Object.entries(to.tried).map(([kind, count]) => [kind, Math.round((count - (from.tried[kind] ?? 0)) / seconds)]),
  );
  const arrivedPerSecond = {
    datagrams: perSecond("datagrams"),
    connections: perSecond("connections"),
    lookUps: perSecond("lookUps"),
  };
  console.log(JSON.stringify({ before, during, after, triedPerSecond, arrivedPerSecond, told, cores }, undefined, 2));

  // It was a flood, of each kind, and nothing denied came through.
  for (const [kind, rate] of Object.entries({ ...triedPerSecond, ...arrivedPerSecond })) {
    expect(rate, kind).toBeGreaterThan(LEAST_PER_S);
  }
  expect(to.denied, "packets to where their sender may not go").toBe(0);
  expect(told["denied"], "denials told").toBeGreaterThan(LEAST_PER_S * FLOOD_S);
  // Meanwhile the neighbour lost nothing, and kept its share.
  for (const { failures } of [before, during, after]) expect(failures).toEqual([]);
  expect(during.mbit, "throughput").toBeGreaterThanOrEqual(before.mbit * KEPT.throughput);
  expect(during.roundTripMs.p50, "round trip").toBeLessThanOrEqual(before.roundTripMs.p50 * KEPT.roundTrip);
});

/** Starts a flood and waits for its first line. Disposal kills it. */
async function startFlood(sandbox: Sandbox, program: string, args: readonly string[]) {
  const process = await sandbox.exec(["python3", "-c", program, ...args]);
  let last: number | undefined;
  const reading = (async () => {
    for await (const line of process.stdout.lines()) last = Number(line);
  })();
  const flood = {
    async [Symbol.asyncDispose]() {
      await process.kill();
      await reading;
    },
  };
  const deadline = performance.now() + 60_000;
  while (last === undefined) {
    if (performance.now() > deadline) {
      await flood[Symbol.asyncDispose]();
      throw new Error(`no flood began: ${await process.stderr.text()}`);
    }
    await delay(50);
  }
  return { count: () => last ?? 0, flood };
}

/** Packets of which the events of a sandbox tell that they were denied. */
async function toldDenials(sandbox: Sandbox): Promise<number> {
  let sum = 0;
  for await (const { type, detail } of sandbox.events()) {
    if (type !== "network_denied") continue;
    const { count = 0, more = 0 } = detail as { readonly count?: number; readonly more?: number };
    sum += count + more;
  }
  return sum;
}

function sumBy(entries: readonly (readonly [name: string, value: number])[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, value] of entries) sums[name] = (sums[name] ?? 0) + value;
  return sums;
}
