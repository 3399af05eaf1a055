// Placement by reservations.
import { describe, expect, it } from "vitest";
import type { Candidate } from "./placement.ts";
import { place } from "./placement.ts";

function candidate(change: Partial<Candidate> = {}): Candidate {
  return {
    workerId: "a",
    cpuMillis: 4_000,
    memoryMiB: 4_096,
    maxInstances: 10,
    reservedCpuMillis: 0,
    reservedMemoryMiB: 0,
    instances: 0,
    ...change,
  };
}

const WANTED = { cpuMillis: 1_000, memoryMiB: 1_024 };

describe("place", () => {
  it("fills a worker to its last unit and no further", () => {
    const almost = candidate({ reservedCpuMillis: 3_000, reservedMemoryMiB: 3_072, instances: 9 });
    expect(place([almost], WANTED)).toEqual({ kind: "placed", workerId: "a" });
    const over = { cpuMillis: 1_001, memoryMiB: 1_025 };
    expect(place([almost], over)).toEqual({ kind: "full", full: ["cpu_millis", "memory_mib"] });
  });

  it("counts instances", () => {
    expect(place([candidate({ instances: 10 })], WANTED)).toEqual({ kind: "full", full: ["instances"] });
  });

  it("takes the worker with the most free memory", () => {
    const busy = candidate({ workerId: "busy", reservedMemoryMiB: 2_000 });
    expect(place([busy, candidate({ workerId: "free" })], WANTED)).toEqual({ kind: "placed", workerId: "free" });
    const big = candidate({ workerId: "big", reservedMemoryMiB: 0, reservedCpuMillis: 4_000 });
    expect(place([busy, big], WANTED)).toEqual({ kind: "placed", workerId: "busy" });
  });
});
