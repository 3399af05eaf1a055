// The attack: every probe against real sandboxes of the platform, one after another, with a neighbour watched throughout.
import type { Client } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { BOMBS } from "./bombs.ts";
import { ESCAPES } from "./escapes.ts";
import { FLOODS } from "./floods.ts";
import { runInside } from "./inside.ts";
import { LOOK_UPS } from "./look-ups.ts";
import { hostAddresses, hostPorts } from "./machine.ts";
import { moveInNeighbour, type Neighbour } from "./neighbour.ts";
import { REACHES } from "./network.ts";
import type { BombProbe, NetworkContext, NetworkProbe, Score, Verdict } from "./probe.ts";
import { BOMB_LIMITS } from "./probe.ts";

/** Longest that a sandbox of one probe of the network lives, in milliseconds. */
const NETWORK_PROBE_MS = 5 * 60_000;

export interface AttackOptions {
  readonly client: Client;
  readonly signal: AbortSignal;
  /** Called before each probe. */
  readonly onBegin?: (name: string) => void;
  /** Called with each line of the scorecard. */
  readonly onScore?: (score: Score) => void;
}

/** A probe that could not be carried out counts as not held. Rejects only when no sandbox can be had at all, or aborted. */
export async function attack(options: AttackOptions): Promise<readonly Score[]> {
  const { client, signal } = options;
  const scores: Score[] = [];
  await using neighbour = await moveInNeighbour(client, signal);
  const judge = async (name: string, aim: string, attempt: () => Promise<Verdict>) => {
    options.onBegin?.(name);
    const score = await scored(name, aim, neighbour, signal, attempt);
    scores.push(score);
    options.onScore?.(score);
  };
  const hosts = hostAddresses();
  {
    await using attacker = await Sandbox.create({ client, signal, network: "open", lifetimeMs: 15 * 60_000 });
    for (const probe of ESCAPES) {
      await judge(probe.name, probe.aim, () => runInside(attacker, probe, hosts, signal));
    }
  }
  const surroundings = { client, signal, neighbour, hosts, ports: await hostPorts() };
  for (const probe of [...REACHES, ...LOOK_UPS, ...FLOODS]) {
    await judge(probe.name, probe.aim, () => tryNetwork(probe, surroundings));
  }
  for (const bomb of BOMBS) await judge(bomb.name, bomb.aim, () => setOff(bomb, client, signal));
  return scores;
}

async function scored(
  name: string,
  aim: string,
  neighbour: Neighbour,
  signal: AbortSignal,
  attempt: () => Promise<Verdict>,
): Promise<Score> {
  const begun = performance.now();
  let verdict: Verdict;
  try {
    verdict = await attempt();
  } catch (error) {
    signal.throwIfAborted();
    verdict = { held: false, seen: `could not be tried: ${error instanceof Error ? error.message : "unknown"}` };
  }
  const harm = await neighbour.check(signal);
  if (harm !== undefined) verdict = { held: false, seen: `${verdict.seen}; ${harm}` };
  return { name, aim, ...verdict, ms: Math.round(performance.now() - begun) };
}

async function setOff(bomb: BombProbe, client: Client, signal: AbortSignal): Promise<Verdict> {
  await using sandbox = await Sandbox.create({ client, signal, network: "blocked", ...BOMB_LIMITS });
  return await bomb.run({ client, signal, sandbox });
}

async function tryNetwork(probe: NetworkProbe, context: Omit<NetworkContext, "sandbox">): Promise<Verdict> {
  const { client, signal } = context;
  const network = probe.policy ?? "open";
  await using sandbox = await Sandbox.create({ client, signal, network, lifetimeMs: NETWORK_PROBE_MS });
  return await probe.run({ ...context, sandbox });
}
