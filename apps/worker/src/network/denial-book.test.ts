// Denials summed up: by destination, bounded, and none lost.

import { silentLogger } from "@sallyport/appkit/logger";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DenialBook, type DenialDetail } from "./denial-book.ts";
import type { DenialRecord } from "./denial-record.ts";

const RECORD: DenialRecord = { slot: 3, prefix: "policy", destination: "198.51.100.7", protocol: 6, port: 443 };

let totals: Map<number, number>;
let told: { slot: number; details: readonly DenialDetail[] }[];
let book: DenialBook;

beforeEach(() => {
  vi.useFakeTimers();
  totals = new Map();
  told = [];
  book = new DenialBook({
    clock: { monotonicMs: () => performance.now() },
    logger: silentLogger,
    describe: ({ slot, prefix }) => (slot < 10 ? { rule: `by ${prefix}`, hint: "" } : undefined),
    total: async (slot) => totals.get(slot),
    tell: (slot, details) => told.push({ slot, details }),
  });
});

afterEach(async () => {
  await book[Symbol.asyncDispose]();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** The kernel denies packets, and tells of some of them. */
function deny(record: Partial<DenialRecord>, count = 1, seen = count): void {
  const { slot } = { ...RECORD, ...record };
  totals.set(slot, (totals.get(slot) ?? 0) + count);
  for (let n = 0; n < seen; n += 1) book.add({ ...RECORD, ...record });
}

const windows = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1_000);

function packetsTold(slot = RECORD.slot): number {
  const details = told.filter((one) => one.slot === slot).flatMap((one) => one.details);
  return details.reduce((sum, detail) => sum + ("more" in detail ? detail.more : detail.count), 0);
}

describe("the book", () => {
  it("sums up by destination, port, protocol and rule, slot by slot", async () => {
    deny({}, 3);
    deny({ port: 80 });
    deny({ protocol: 17, port: 443 });
    deny({ prefix: "rate" });
    deny({ destination: "2001:db8::7", protocol: 58, port: undefined }, 2);
    deny({ slot: 4, destination: "198.51.100.8", protocol: 132, port: undefined });
    expect(told).toEqual([]);
    await windows(1);
    const of = (detail: object): object => {
      return {
        destination: "198.51.100.7",
        port: 443,
        protocol: "tcp",
        rule: "by policy",
        hint: "",
        count: 1,
        ...detail,
      };
    };
    expect(told).toEqual([
      {
        slot: 3,
        details: [
          of({ count: 3 }),
          of({ port: 80 }),
          of({ protocol: "udp" }),
          of({ rule: "by rate" }),
          { destination: "2001:db8::7", protocol: "icmp", rule: "by policy", hint: "", count: 2 },
        ],
      },
      { slot: 4, details: [{ destination: "198.51.100.8", protocol: "132", rule: "by policy", hint: "", count: 1 }] },
    ]);
    await windows(10);
    expect(told).toHaveLength(2);
  });

  it("tells what the kernel counted and did not log, once, and only when the log had its time", async () => {
    deny({}, 1_000, 40);
    await windows(1);
    expect(packetsTold()).toBe(40);
    // Told late: counted in the window before.
    book.add(RECORD);
    await windows(1);
    expect(told.at(-1)?.details).toEqual([expect.objectContaining({ count: 1 }), { more: 959 }]);
    await windows(5);
    expect(packetsTold()).toBe(1_000);
    expect(told).toHaveLength(2);
  });

  it("names no more than 20 destinations a window", async () => {
    for (let n = 0; n < 50; n += 1) deny({ port: 1_000 + n }, 2);
    await windows(1);
    expect(told[0]?.details).toHaveLength(21);
    expect(told[0]?.details.at(-1)).toEqual({ more: 60 });
  });

  it("tells no more than 100 events a minute, and the rest as a number", async () => {
    for (let second = 0; second < 180; second += 1) {
      for (let n = 0; n < 20; n += 1) deny({ port: 1_000 + n }, 50, 1);
      await windows(1);
    }
    expect(told.reduce((sum, { details }) => sum + details.length, 0)).toBeLessThanOrEqual(301);
    await windows(120);
    expect(packetsTold()).toBe(180 * 20 * 50);
  });

  it("begins anew with a table that was loaded anew", async () => {
    deny({}, 500, 1);
    await windows(3);
    expect(packetsTold()).toBe(500);
    totals.set(3, 0);
    deny({}, 30, 1);
    await windows(3);
    expect(packetsTold()).toBe(530);
  });

  it("forgets a slot that is given back, and heeds none that is not handed out", async () => {
    deny({}, 5);
    deny({ slot: 12 }, 5);
    book.forget(3);
    await windows(3);
    expect(told).toEqual([]);
    totals.set(3, 0);
    deny({});
    await windows(3);
    expect(packetsTold()).toBe(1);
  });

  it("survives a kernel that does not answer", async () => {
    const failing = vi.fn(() => Promise.reject(new Error("away")));
    await using other = new DenialBook({
      clock: { monotonicMs: () => performance.now() },
      logger: silentLogger,
      describe: () => ({ rule: "unlisted", hint: "" }),
      total: failing,
      tell: (slot, details) => told.push({ slot, details }),
    });
    other.add(RECORD);
    await windows(1);
    other.add(RECORD);
    await windows(1);
    expect(failing).toHaveBeenCalledTimes(2);
  });
});
