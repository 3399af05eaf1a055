// Whatever is compared takes turns: a machine that slows down does so for all.
import type { Run } from "./room.ts";

export interface Rounds {
  readonly rounds: number;
  /** Before those that count. */
  readonly warmUps: number;
}

/** Each once in a round. Answers what was measured of each, by rounds. */
export async function inTurns<T>(
  { say, signal }: Run,
  name: string,
  { rounds, warmUps }: Rounds,
  all: readonly T[],
  measure: (one: T) => Promise<number>,
): Promise<(one: T) => readonly number[]> {
  const samples = new Map(all.map((one): [T, number[]] => [one, []]));
  for (let round = 1 - warmUps; round <= rounds; round += 1) {
    say(`${name}: ${round > 0 ? `round ${round} of ${rounds}` : "warming up"}`);
    for (const [one, found] of samples) {
      signal.throwIfAborted();
      const sample = await measure(one);
      if (round > 0) found.push(sample);
    }
  }
  return (one) => samples.get(one) ?? [];
}
