// How long each step of a start took, for the one line that is logged about it.

export interface Timeline {
  /** Ends a step that began when the last one ended. */
  mark(step: string): void;
  /** Whole milliseconds by step, with the sum as `totalMs`. */
  summary(): Readonly<Record<string, number>>;
}

export function startTimeline(monotonicMs: () => number): Timeline {
  const startedAt = monotonicMs();
  let last = startedAt;
  const steps: Record<string, number> = {};
  return {
    mark(step) {
      const now = monotonicMs();
      steps[`${step}Ms`] = Math.round(now - last);
      last = now;
    },
    summary: () => ({ ...steps, totalMs: Math.round(last - startedAt) }),
  };
}
