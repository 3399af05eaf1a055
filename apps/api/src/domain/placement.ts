// On which worker an instance goes. Pure; the store locks the candidates first, so what is chosen still fits at commit.

/** What an instance reserves. */
export interface Reservation {
  readonly cpuMillis: number;
  readonly memoryMiB: number;
}

/** A connected worker: what it has, and what instances that have not ended hold of it. */
export interface Candidate {
  readonly workerId: string;
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly maxInstances: number;
  readonly reservedCpuMillis: number;
  readonly reservedMemoryMiB: number;
  readonly instances: number;
}

/** What is full: on every candidate, so that nothing smaller of another kind would help. */
export type FullResource = "cpu_millis" | "memory_mib" | "instances";

export type Placement =
  | { readonly kind: "placed"; readonly workerId: string }
  | { readonly kind: "full"; readonly full: readonly FullResource[] };

/** The candidate with the most free memory among those on which it fits; or what is full. */
export function place(candidates: readonly Candidate[], wanted: Reservation): Placement {
  const judged = candidates.map((candidate) => ({ candidate, full: shortOf(candidate, wanted) }));
  const [best] = judged
    .filter(({ full }) => full.length === 0)
    .map(({ candidate }) => candidate)
    .toSorted((a, b) => freeMemory(b) - freeMemory(a));
  if (best !== undefined) return { kind: "placed", workerId: best.workerId };
  return { kind: "full", full: [...new Set(judged.flatMap(({ full }) => full))] };
}

function shortOf(candidate: Candidate, wanted: Reservation): FullResource[] {
  const full: FullResource[] = [];
  if (candidate.reservedCpuMillis + wanted.cpuMillis > candidate.cpuMillis) full.push("cpu_millis");
  if (candidate.reservedMemoryMiB + wanted.memoryMiB > candidate.memoryMiB) full.push("memory_mib");
  if (candidate.instances + 1 > candidate.maxInstances) full.push("instances");
  return full;
}

function freeMemory(candidate: Candidate): number {
  return candidate.memoryMiB - candidate.reservedMemoryMiB;
}
