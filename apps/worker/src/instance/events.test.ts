import { describe, expect, it } from "vitest";
import { withEvents, withoutTold } from "./events.ts";
import type { InstanceRecord } from "./record.ts";

const RECORD: InstanceRecord = {
  version: 1,
  instanceId: "in-01j00000000000000000000001",
  containerId: "bx-01j00000000000000000000001",
  sandboxId: "sb-01j00000000000000000000001",
  generation: 1,
  phase: "running",
  seq: 3,
  at: 1_800_000_000_000,
  bootId: "boot",
  networkGeneration: 1,
};
const EVENT = { type: "oom_kill", detail: { message: "out of memory" } } as const;

function add(record: InstanceRecord, now: number): InstanceRecord {
  return { ...record, ...withEvents(record, [EVENT], now) };
}

describe("events of an instance", () => {
  it("have numbers of their own, and each makes a report", () => {
    const record = add(add(RECORD, 10), 20);
    expect(record).toMatchObject({ seq: 5, eventSeq: 2 });
    expect(record.events).toEqual([
      { ...EVENT, seq: 1, at: 10, reportSeq: 4 },
      { ...EVENT, seq: 2, at: 20, reportSeq: 5 },
    ]);
  });

  it("are kept until a report that told them is acknowledged", () => {
    const record = add(add(RECORD, 10), 20);
    expect(withoutTold(record, 3)).toBeUndefined();
    expect(withoutTold(record, 4)?.events?.map(({ seq }) => seq)).toEqual([2]);
    expect(withoutTold(record, 9)?.events).toEqual([]);
    expect(withoutTold(RECORD, 9)).toBeUndefined();
    // A number is never given twice, whatever was acknowledged meanwhile.
    expect(add({ ...record, ...withoutTold(record, 9) }, 30).events?.map(({ seq }) => seq)).toEqual([3]);
  });

  it("come several at a time, in one report", () => {
    const record = { ...RECORD, ...withEvents(RECORD, [EVENT, { ...EVENT, type: "disk_full" }], 10) };
    expect(record).toMatchObject({ seq: 4, eventSeq: 2 });
    expect(record.events?.map(({ seq, reportSeq }) => [seq, reportSeq])).toEqual([
      [1, 4],
      [2, 4],
    ]);
  });

  it("that a sandbox can bring about as it likes drive out no others", () => {
    let record = add(RECORD, 1);
    const denials = Array.from({ length: 21 }, () => ({ type: "network_denied", detail: { more: 1 } }) as const);
    for (let now = 2; now <= 20; now += 1) record = { ...record, ...withEvents(record, denials, now) };
    record = add(record, 21);
    const kept = record.events ?? [];
    expect(kept.filter(({ type }) => type === "oom_kill").map(({ at }) => at)).toEqual([1, 21]);
    expect(kept.filter(({ type }) => type === "network_denied")).toHaveLength(60);
    expect(kept.map(({ seq }) => seq)).toEqual(kept.map(({ seq }) => seq).toSorted((left, right) => left - right));
    expect(kept.at(-2)?.seq).toBe(1 + 19 * 21);
  });

  it("are bounded: the newest stay", () => {
    let record = RECORD;
    for (let now = 1; now <= 250; now += 1) record = add(record, now);
    expect(record.events).toHaveLength(100);
    expect(record.events?.at(0)?.seq).toBe(151);
    expect(record.events?.at(-1)?.seq).toBe(250);
  });
});
