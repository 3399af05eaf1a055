// The attack: every probe against real sandboxes of the platform, one after another, with a neighbour watched throughout.
import { networkInterfaces } from "node:os";
import type { Client } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { BOMBS } from "./bombs.ts";
import { ESCAPES } from "./escapes.ts";
import { runInside } from "./inside.ts";
import { moveInNeighbour, type Neighbour } from "./neighbour.ts";
import { BOMB_LIMITS, type BombProbe, type Score, type Verdict } from "./probe.ts";

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
  {
    await using attacker = await Sandbox.create({ client, signal, network: "open", lifetimeMs: 15 * 60_000 });
    const targets = hostAddresses();
    for (const probe of ESCAPES) {
      await judge(probe.name, probe.aim, () => runInside(attacker, probe, targets, signal));
    }
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

/** Where the platform's own machine may be met, when the command runs on it. */
function hostAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0)
    .map(({ address }) => address);
}
