// For how long each worker has been silent, as somebody saw who was awake the whole time; and who may be given up for it.
//
//   heard ─► unreachable (15 s of silence: a condition, ends nothing) ─► lost (5 min: its sandboxes end)
//     ▲            │                                                       │
//     └────────────┴── any sign of life ◄──────────────────────────────────┘ (what was ended stays ended)
//
// Silence is counted from when this process first saw the newest sign of life, on a clock that never jumps, and starts
// anew after any gap in its looking (a database that did not answer, a process that did not run): an outage of ours is
// no silence of theirs.

/** A worker and its newest sign of life. */
export interface Sighting {
  readonly workerId: string;
  readonly lastSeenAt: Date;
}

/** Who looks less often than this was not there. */
export const MAX_LOOK_GAP_MS = 10_000;

/** Remembers when each worker's newest sign of life was first seen. */
export class SilenceLedger {
  readonly #since = new Map<string, { readonly lastSeenMs: number; readonly sinceMs: number }>();
  #lookedAtMs: number | undefined;

  /** Takes a look at all workers; answers for how long each has been silent, in milliseconds. */
  look(nowMs: number, workers: readonly Sighting[]): Map<string, number> {
    if (this.#lookedAtMs === undefined || nowMs - this.#lookedAtMs > MAX_LOOK_GAP_MS) this.#since.clear();
    this.#lookedAtMs = nowMs;
    const silences = new Map<string, number>();
    for (const { workerId, lastSeenAt } of workers) {
      const lastSeenMs = lastSeenAt.getTime();
      const known = this.#since.get(workerId);
      const current = known?.lastSeenMs === lastSeenMs ? known : { lastSeenMs, sinceMs: nowMs };
      this.#since.set(workerId, current);
      silences.set(workerId, nowMs - current.sinceMs);
    }
    for (const workerId of this.#since.keys()) if (!silences.has(workerId)) this.#since.delete(workerId);
    return silences;
  }
}

/** What to do about silent workers. */
export interface Verdict {
  /** Silent for long enough to be shown so. */
  readonly unreachable: readonly string[];
  /** To be given up without an operator's word. */
  readonly lost: readonly string[];
}

/**
 * Judges all workers that have not been given up yet. When more than a fifth of them are silent, it is more likely the
 * network or this platform than the machines, and only an operator gives any of them up; so too on a platform of fewer
 * than five machines, where one is more than a fifth.
 */
export function judgeSilence(
  silences: ReadonlyMap<string, number>,
  limits: { readonly unreachableAfterMs: number; readonly lostAfterMs: number },
): Verdict {
  const silentFor = (ms: number) => [...silences].filter(([, silence]) => silence >= ms).map(([workerId]) => workerId);
  const unreachable = silentFor(limits.unreachableAfterMs);
  const isMass = unreachable.length * 5 > silences.size;
  return { unreachable, lost: isMass ? [] : silentFor(Math.max(limits.lostAfterMs, limits.unreachableAfterMs)) };
}
