// That the disk is the bound of what strangers have written down, and nothing is lost without being counted.
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@sallyport/appkit/logger";
import { describe, expect, it, onTestFinished } from "vitest";
import { DayLog } from "./day-log.ts";
import { ACCESS_LOG_DAY_BYTES, ACCESS_LOG_DAYS } from "./edge-limits.ts";

const START_MS = Date.parse("2026-11-29T23:59:59.007Z");

async function openLog(directory?: string) {
  const own = directory ?? (await mkdtemp(join(tmpdir(), "days-")));
  if (directory === undefined) onTestFinished(() => rm(own, { recursive: true, force: true }));
  const time = { nowMs: START_MS };
  const log = await DayLog.open({ directory: own, now: () => time.nowMs, logger: silentLogger });
  /** As an app writes. */
  const write = (number: number, isStranger = false) => {
    if (log.hasRoom(isStranger)) log.add(`"n":${number}`, isStranger);
  };
  return { directory: own, log, time, write };
}

async function linesOf(directory: string, day: string): Promise<readonly unknown[]> {
  const text = await readFile(join(directory, `access-${day}.log`), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

describe("DayLog", () => {
  it("writes lines with their time, in the file of its day, for its user alone", async () => {
    const { directory, log, time, write } = await openLog();
    write(1);
    time.nowMs += 1;
    write(2);
    time.nowMs += 992; // another day
    write(3);
    await log[Symbol.asyncDispose]();
    expect(await linesOf(directory, "2026-11-30")).toEqual([
      { time: "2026-11-29T23:59:59.007Z", n: 1 },
      { time: "2026-11-29T23:59:59.008Z", n: 2 },
      { time: "2026-11-30T00:00:00.000Z", n: 3 },
    ]);
    expect((await stat(join(directory, "access-2026-11-30.log"))).mode & 0o777).toBe(0o600);
  });

  it("writes all of them, however many come at once", async () => {
    const { directory, log, write } = await openLog();
    for (let number = 0; number < 10_000; number += 1) write(number);
    await log[Symbol.asyncDispose]();
    const lines = await linesOf(directory, "2026-11-29");
    expect(lines.map((line) => (line as { n: number }).n)).toEqual(Array.from({ length: 10_000 }, (_, n) => n));
    expect(log.dropped).toBe(0);
  });

  it("keeps half of a day's room for those who have shown something, and all of it from nobody on the next day", async () => {
    const { directory, log: first, write } = await openLog();
    write(1, true);
    await first[Symbol.asyncDispose]();
    await truncate(join(directory, "access-2026-11-29.log"), ACCESS_LOG_DAY_BYTES / 2 + 1);
    const again = await openLog(directory);
    again.write(2, true);
    again.write(3);
    expect(again.log.dropped).toBe(1);
    again.time.nowMs += 1_000; // another day
    await again.log[Symbol.asyncDispose]();
    expect(await linesOf(directory, "2026-11-30")).toMatchObject([{ n: 3 }]);
    expect(again.log.hasRoom(true)).toBe(true);
  });

  it("writes no more of a day than it may", async () => {
    const { directory, log, write } = await openLog();
    await writeFile(join(directory, "access-2026-11-29.log"), "");
    await truncate(join(directory, "access-2026-11-29.log"), ACCESS_LOG_DAY_BYTES - 10);
    write(1);
    await log[Symbol.asyncDispose]();
    expect(log.dropped).toBe(1);
    expect((await stat(join(directory, "access-2026-11-29.log"))).size).toBe(ACCESS_LOG_DAY_BYTES - 10);
  });

  it("keeps so many days, and nothing but its own files away", async () => {
    const { directory, log, write } = await openLog();
    for (let day = 1; day <= 20; day += 1) {
      await writeFile(join(directory, `access-2026-10-${String(day).padStart(2, "0")}.log`), "");
    }
    await writeFile(join(directory, "notes.txt"), "");
    write(1);
    await log[Symbol.asyncDispose]();
    const names = (await readdir(directory)).sort();
    expect(names).toHaveLength(ACCESS_LOG_DAYS + 1);
    expect([names[0], names.at(-2), names.at(-1)]).toEqual([
      "access-2026-10-08.log",
      "access-2026-11-29.log",
      "notes.txt",
    ]);
  });

  it("counts what it cannot write, and says so of what comes too fast", async () => {
    const { directory, log, write } = await openLog();
    await rm(directory, { recursive: true });
    write(1);
    await log[Symbol.asyncDispose]();
    expect(log.dropped).toBe(1);
    const fast = await openLog();
    for (let number = 0; number < 200_000; number += 1) fast.write(number);
    expect(fast.log.dropped).toBeGreaterThan(0);
    const { dropped } = fast.log;
    await fast.log[Symbol.asyncDispose]();
    expect(await linesOf(fast.directory, "2026-11-29")).toHaveLength(200_000 - dropped);
  });

  it("takes no line that is longer than what it can hold", async () => {
    const { log } = await openLog();
    expect(() => log.add(`"a":"${"x".repeat(131_072)}"`, false)).toThrow(RangeError);
    await log[Symbol.asyncDispose]();
  });
});
