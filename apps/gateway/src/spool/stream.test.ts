import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@sallyport/appkit/logger";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SpoolBudget } from "./budget.ts";
import type { ReadEvent } from "./reader.ts";
import { readStream } from "./reader.ts";
import type { StreamSpoolOptions } from "./stream.ts";
import { StreamSpool } from "./stream.ts";

const STREAM_BYTES = 1_600;

let directory: string;
const opened: StreamSpool[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sallyport-spool-"));
});

afterEach(async () => {
  for (const spool of opened.splice(0)) await spool.close();
  rmSync(directory, { recursive: true });
});

function openSpool(options: Partial<StreamSpoolOptions> & { budget?: SpoolBudget } = {}): StreamSpool {
  const { budget } = options;
  const spool = new StreamSpool({
    directory,
    name: "stdout",
    streamBytes: STREAM_BYTES,
    readerGraceMs: 0,
    logger: silentLogger,
    ended: false,
    listener: { stored: () => {}, ended: () => {}, kept: (delta) => budget?.count(delta) },
    ...options,
  });
  budget?.add(spool);
  opened.push(spool);
  return spool;
}

/** Bytes whose values tell their offset. */
function bytesAt(offset: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => ((offset + index) * 7 + ((offset + index) >> 8)) & 0xff));
}

async function fill(spool: StreamSpool, upTo: number, step = 37): Promise<void> {
  while (spool.tail < upTo) {
    spool.append(bytesAt(spool.tail, Math.min(step, upTo - spool.tail)));
    await spool.settled();
  }
}

async function read(spool: StreamSpool, offset: number, follow = false): Promise<ReadEvent[]> {
  const signal = AbortSignal.timeout(5_000);
  return await Array.fromAsync(readStream(spool, { offset, follow, signal }));
}

function expectWhole(events: readonly ReadEvent[], from: number, to: number): void {
  let offset = from;
  for (const event of events) {
    if (event.kind !== "chunk") continue;
    expect(event.offset).toBe(offset);
    expect(event.data).toEqual(bytesAt(offset, event.data.length));
    offset += event.data.length;
  }
  expect(offset).toBe(to);
}

describe("StreamSpool", () => {
  it("gives back what was appended, from any offset", async () => {
    const spool = openSpool();
    await fill(spool, 1_000);
    for (const offset of [0, 1, 99, 100, 101, 555, 1_000]) expectWhole(await read(spool, offset), offset, 1_000);
  });

  it("follows to the end, and tells it", async () => {
    const spool = openSpool();
    const reading = read(spool, 0, true);
    await fill(spool, 250);
    spool.finish();
    const events = await reading;
    expectWhole(events, 0, 250);
    expect(events.at(-1)).toEqual({ kind: "end", offset: 250 });
    await expect(read(spool, 251)).rejects.toMatchObject({ code: "InvalidArgument", field: "offset" });
  });

  it("drops the oldest without a reader, and tells the next one of the gap", async () => {
    const spool = openSpool();
    await fill(spool, 5_000);
    expect(spool.kept).toBeLessThanOrEqual(STREAM_BYTES);
    expect(spool.hasRoom).toBe(true);
    const events = await read(spool, 3);
    expect(events[0]).toEqual({ kind: "gap", offset: spool.start });
    expectWhole(events, spool.start, 5_000);
  });

  it("has no room while a reader needs the oldest bytes, and room again as it goes on", async () => {
    const spool = openSpool();
    await fill(spool, 100);
    const stop = new AbortController();
    const reader = readStream(spool, { offset: 0, follow: true, signal: stop.signal });
    await reader.next();
    await fill(spool, 3_000);
    expect(spool.start).toBe(0);
    expect(spool.hasRoom).toBe(false);
    let offset = 100;
    while (!spool.hasRoom) {
      const { value } = await reader.next();
      if (value?.kind !== "chunk") throw new Error("a gap under a reader");
      expect(value.data).toEqual(bytesAt(offset, value.data.length));
      offset += value.data.length;
    }
    expect(spool.start).toBeGreaterThan(0);
    stop.abort();
    await reader.return();
  });

  it("keeps a place for a reader that went away, until its grace is over", async () => {
    const spool = openSpool({ readerGraceMs: 1_500 });
    await fill(spool, 100);
    const reader = readStream(spool, { offset: 0, follow: true, signal: new AbortController().signal });
    await reader.next();
    await reader.return();
    await fill(spool, 3_000, 300);
    expect(spool.start).toBe(0);
    await expect.poll(() => spool.start, { timeout: 10_000 }).toBeGreaterThan(0);
  });

  it("recovers by file sizes, also after a write that was cut short", async () => {
    await fill(openSpool(), 450);
    expect(openSpool().end).toBe(450);
    // As if the process had been killed between two writes.
    appendFileSync(join(directory, readdirSync(directory).sort().at(-1) ?? ""), bytesAt(450, 3));
    const spool = openSpool();
    expect(spool.end).toBe(453);
    await fill(spool, 700);
    expectWhole(await read(spool, 0), 0, 700);
  });

  it("recovers after each possible kill: no offset ever names another byte", async () => {
    for (let upTo = 0; upTo < 400; upTo += 23) {
      const spool = openSpool();
      expect(spool.end).toBe(Math.max(0, upTo - 23));
      await fill(spool, upTo);
      expectWhole(await read(spool, 0), 0, upTo);
    }
  });

  it("keeps nothing that lies before a hole", async () => {
    await fill(openSpool(), 450);
    const [, second = ""] = readdirSync(directory).sort();
    rmSync(join(directory, second));
    const spool = openSpool();
    expect(spool.start).toBeGreaterThan(Number(second.slice(7)));
    expectWhole((await read(spool, 0)).slice(1), spool.start, 450);
  });

  it("ignores files that are not its own", async () => {
    writeFileSync(join(directory, "stdout.1"), "x");
    writeFileSync(join(directory, "stderr.0000000000000000"), "x");
    expect(openSpool().end).toBe(0);
  });

  it("starts where the first bytes were never seen, also after a restart", () => {
    openSpool().skipTo(77);
    expect(openSpool()).toMatchObject({ start: 77, end: 77 });
  });

  it("takes no more readers than the limit", async () => {
    const spool = openSpool();
    const places = Array.from({ length: 16 }, () => spool.enter(0));
    expect(places).not.toContain(undefined);
    await expect(read(spool, 0)).rejects.toMatchObject({ code: "ResourceExhausted" });
  });
});

describe("SpoolBudget", () => {
  it("takes from ended outputs first, then from the largest, down to their last byte", async () => {
    const budget = new SpoolBudget(500);
    const ended = openSpool({ budget });
    await fill(ended, 300);
    ended.finish();
    await ended.settled();
    const live = openSpool({ budget, name: "stderr" });
    await fill(live, 400);
    expect(budget.makeRoom()).toBe(true);
    expect(ended.kept).toBeLessThan(300);
    expect(live.kept).toBe(400);
    await fill(live, 900);
    expect(budget.makeRoom()).toBe(true);
    expect(ended.kept).toBe(0);
    expect(budget.keptBytes).toBe(live.kept);
    expect(openSpool({ ended: true }).end).toBe(300);
  });

  it("says no while readers need everything", async () => {
    const budget = new SpoolBudget(200);
    const spool = openSpool({ budget });
    const place = spool.enter(0);
    await fill(spool, 300);
    expect(budget.makeRoom()).toBe(false);
    if (place !== undefined) spool.leave(place, false);
    expect(budget.makeRoom()).toBe(true);
  });
});
