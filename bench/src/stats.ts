// Figures from repeated runs, and the shape in which every benchmark reports.

/** One claim: `measured` beside `peer` in the same run. Lower is better; it holds when ratio ≤ target. */
export interface Result {
  readonly name: string;
  readonly unit: "ms";
  /** Median of ours. */
  readonly measured: number;
  readonly p95: number;
  /** What ours is held against. */
  readonly peerName: string;
  /** Median of the peer's; null when the peer cannot be had here. */
  readonly peer: number | null;
  readonly ratio: number | null;
  /** null: shown, not judged. */
  readonly target: number | null;
  readonly pass: boolean | null;
  readonly runs: number;
}

/** The value below which the given share (0 to 1) of the samples lies. */
function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1));
  const value = sorted[index];
  if (value === undefined) throw new Error("no samples");
  return value;
}

/** Compares our samples with a peer's from the same run. */
export function compare(
  name: string,
  ours: readonly number[],
  peerName: string,
  peer: readonly number[] | undefined,
  target: number | null,
): Result {
  const measured = round(quantile(ours, 0.5));
  const other = peer === undefined ? null : round(quantile(peer, 0.5));
  const ratio = other === null ? null : round(measured / other);
  return {
    name,
    unit: "ms",
    measured,
    p95: round(quantile(ours, 0.95)),
    peerName,
    peer: other,
    ratio,
    target,
    pass: target === null || ratio === null ? null : ratio <= target,
    runs: ours.length,
  };
}

/** Wall time of an action, in milliseconds. */
export async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return performance.now() - startedAt;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
