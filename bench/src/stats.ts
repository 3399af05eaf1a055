// Figures from repeated runs, and the shape in which every benchmark reports.

/** Of what goes by the second (MB: 10^6 bytes) more is better, of every other unit less is. */
export type Unit = "ms" | "µs" | "ns" | "KiB" | "MiB" | "MB/s" | "connections/s" | "cores";

/** One claim: `measured` beside `peer` in the same run. */
export interface Result {
  readonly name: string;
  readonly unit: Unit;
  /** Median of ours. */
  readonly measured: number;
  /** 95 % of our runs were at least as good: the slow end, whichever way the unit points. */
  readonly p95: number;
  /** What ours is held against. Where it is nothing, it begins with "none". */
  readonly peerName: string;
  /** Median of the peer's; null when there is none, or none to be had here. */
  readonly peer: number | null;
  /** measured / peer. */
  readonly ratio: number | null;
  /** Bound of `ratio`, or of `measured` where there is no peer: at least it where more is better, else at most. null: shown, not judged. */
  readonly target: number | null;
  readonly pass: boolean | null;
  readonly runs: number;
}

const NO_PEER = "none";

/** The value below which the given share (0 to 1) of the samples lies. */
function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1));
  const value = sorted[index];
  if (value === undefined) throw new Error("no samples");
  return value;
}

/** Of samples in whatever order. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** What is compared with what. */
export interface Comparison {
  readonly name: string;
  readonly unit: Unit;
  readonly ours: readonly number[];
  readonly peerName: string;
  /** Empty when the peer cannot be had here. */
  readonly peer: readonly number[];
  /** Of the ratio; null when unset. */
  readonly target?: number;
}

/** Compares our samples with a peer's from the same run. */
export function compare({ name, unit, ours, peerName, peer, target }: Comparison): Result {
  const measured = round(median(ours));
  const other = peer.length === 0 ? null : round(median(peer));
  const ratio = other === null || other === 0 ? null : round(measured / other);
  return {
    name,
    unit,
    measured,
    p95: slowEnd(unit, ours),
    peerName,
    peer: other,
    ratio,
    target: target ?? null,
    pass: target === undefined || ratio === null ? null : holds(unit, ratio, target),
    runs: ours.length,
  };
}

/** What is measured of ours alone. */
export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly ours: readonly number[];
  /** Which share of the samples lies below what is reported and judged. The median when unset. */
  readonly share?: number;
  /** Why there is no peer. */
  readonly because: string;
  /** Of the figure itself; null when unset. */
  readonly target?: number;
}

/** A figure that no peer has. */
export function alone({ name, unit, ours, share = 0.5, because, target }: Figure): Result {
  const measured = round(quantile(ours, share));
  return {
    name,
    unit,
    measured,
    p95: slowEnd(unit, ours),
    peerName: `${NO_PEER}: ${because}`,
    peer: null,
    ratio: null,
    target: target ?? null,
    pass: target === undefined ? null : holds(unit, measured, target),
    runs: ours.length,
  };
}

/** The result in one line. */
export function inWords(result: Result): string {
  const { unit, peerName, peer, ratio, target, pass } = result;
  const ours = `${result.name}: ${result.measured} ${unit} (p95 ${result.p95}, runs ${result.runs})`;
  const beside =
    peer === null ? (isAlone(result) ? "" : `; ${peerName}: not to be had here`) : `; ${peerName}: ${peer} ${unit}`;
  const compared = ratio === null ? "" : `; ratio ${ratio}`;
  const bound = target === null ? "" : `; target ${isRate(unit) ? "≥" : "≤"} ${target}`;
  const judged = target === null ? "" : `: ${pass === null ? "not judged" : pass ? "met" : "missed"}`;
  return `${ours}${beside}${compared}${bound}${judged}`;
}

/** Wall time of an action, in milliseconds. */
export async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return performance.now() - startedAt;
}

function isAlone({ peerName }: Result): boolean {
  return peerName.startsWith(NO_PEER);
}

function holds(unit: Unit, value: number, target: number): boolean {
  return isRate(unit) ? value >= target : value <= target;
}

function isRate(unit: Unit): boolean {
  return unit.endsWith("/s");
}

function slowEnd(unit: Unit, samples: readonly number[]): number {
  return round(quantile(samples, isRate(unit) ? 0.05 : 0.95));
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
