// What is to be done about an instance's sleep, from what is known of it. Pure.

/** The api's newest wish about sleep. */
export interface SleepWish {
  /** Grows with each wish; 0 when there was none. */
  readonly generation: number;
  readonly asleep: boolean;
}

export interface SleepFacts {
  readonly asleep: boolean;
  /** Unset: never. */
  readonly sleepAfterMs: number | undefined;
  readonly idleTimeoutMs: number | undefined;
  /** Since when nothing has used it, by the monotonic clock; unset while something does, or nobody knows. */
  readonly idleSinceMs: number | undefined;
  readonly wish: SleepWish;
  /** The newest wish that was followed. */
  readonly followed: number;
  /** Somebody waits at the gateway. */
  readonly wakeWanted: boolean;
  /** Whether it may be ended for want of use. */
  readonly mayEnd: boolean;
}

export type SleepStep =
  | { readonly kind: "sleep"; readonly by: "idle" | "hand" }
  | { readonly kind: "wake"; readonly by: "use" | "hand" }
  /** It is as the newest wish has it: that is written down. */
  | { readonly kind: "note" }
  /** It is awake, and the gateway holds somebody back. */
  | { readonly kind: "resume" }
  /** Nothing has used it for too long: it ends. */
  | { readonly kind: "end" }
  /** Nothing, before this moment. */
  | { readonly kind: "wait"; readonly untilMs: number | undefined };

export function planSleep(facts: SleepFacts, nowMs: number): SleepStep {
  const { asleep, followed, idleSinceMs, wish } = facts;
  if (wish.generation > followed) {
    if (wish.asleep === asleep) return { kind: "note" };
    return wish.asleep ? { kind: "sleep", by: "hand" } : { kind: "wake", by: "hand" };
  }
  if (facts.wakeWanted) return asleep ? { kind: "wake", by: "use" } : { kind: "resume" };
  if (idleSinceMs === undefined) return { kind: "wait", untilMs: undefined };
  const endsAt = momentOf(idleSinceMs, facts.mayEnd ? facts.idleTimeoutMs : undefined);
  if (nowMs >= endsAt) return { kind: "end" };
  const sleepsAt = momentOf(idleSinceMs, asleep ? undefined : facts.sleepAfterMs);
  if (nowMs >= sleepsAt) return { kind: "sleep", by: "idle" };
  const next = Math.min(endsAt, sleepsAt);
  return { kind: "wait", untilMs: next === Number.POSITIVE_INFINITY ? undefined : next };
}

function momentOf(sinceMs: number, afterMs: number | undefined): number {
  return afterMs === undefined ? Number.POSITIVE_INFINITY : sinceMs + afterMs;
}
