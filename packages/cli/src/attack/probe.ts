// What a probe is: something hostile code would try, and how to tell that it did not get through.
import type { Client, NetworkPolicy, Sandbox } from "@sallyport/sdk";
import type { Neighbour } from "./neighbour.ts";

/** Whether the wall held, and what was seen. */
export interface Verdict {
  readonly held: boolean;
  /** For people; text of the sandbox may be in it. */
  readonly seen: string;
}

/** Tried by a Python program inside one sandbox that all of these share. */
export interface InsideProbe {
  readonly name: string;
  /** What the attack is after. */
  readonly aim: string;
  /** Statements that run after `PRELUDE`; they end by calling `held(seen)` or `broken(seen)`. */
  readonly python: string;
}

/** What a bomb works with. */
export interface BombContext {
  readonly client: Client;
  readonly signal: AbortSignal;
  /** A fresh sandbox of the bomb's own, small; it is terminated after the bomb. */
  readonly sandbox: Sandbox;
}

/** Tries to use up what others need. A neighbour is watched meanwhile. */
export interface BombProbe {
  readonly name: string;
  readonly aim: string;
  readonly run: (context: BombContext) => Promise<Verdict>;
}

/** What a probe of the network works with. */
export interface NetworkContext {
  readonly client: Client;
  readonly signal: AbortSignal;
  /** A fresh one of the probe's own, with its policy; it is terminated after the probe. */
  readonly sandbox: Sandbox;
  /** Addresses of the machine, and ports at which it may be met, the platform's first. */
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  readonly neighbour: Neighbour;
}

/** Tries to get packets where none may go, or too many of them anywhere. */
export interface NetworkProbe {
  readonly name: string;
  readonly aim: string;
  /** `open` when unset. */
  readonly policy?: NetworkPolicy;
  readonly run: (context: NetworkContext) => Promise<Verdict>;
}

/** Limits of a bomb's sandbox; the bombs are sized by them. */
export const BOMB_LIMITS = { memoryMiB: 256, diskMiB: 64, cpu: 0.5, lifetimeMs: 180_000 } as const;

/** One line of the scorecard. */
export interface Score extends Verdict {
  readonly name: string;
  readonly aim: string;
  readonly ms: number;
}
