// The cache: how long, how much, and whose.
import { beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../test/clock.ts";
import { Cache } from "./cache.ts";
import { nameOf } from "./message/name.ts";
import type { DnsRecord } from "./message/records.ts";
import type { Response } from "./message/response.ts";
import { TYPE } from "./message/wire.ts";

let clock: ManualClock;
let cache: Cache;

beforeEach(() => {
  clock = new ManualClock();
  cache = new Cache({ clock, maxBytes: 20_000, maxBytesPerClient: 8_000 });
});

const OWNER = nameOf(["host", "example"]);

function positive(...ttls: number[]): Response {
  const records = ttls.map((ttl): DnsRecord => ({ owner: OWNER, type: TYPE.A, ttl, data: Buffer.alloc(4) }));
  return { rcode: 0, truncated: false, negative: false, records, authority: undefined };
}

function negative(ttl: number, minimum: number): Response {
  const data = Buffer.alloc(22);
  data.writeUInt32BE(minimum, 18);
  const authority = { owner: OWNER, type: TYPE.SOA, ttl, data };
  return { rcode: 3, truncated: false, negative: true, records: [], authority };
}

/** Seconds for which an answer is kept, asked for often enough that its asker is not forgotten. */
function keptFor(response: Response): number {
  cache.set("a", "key", response);
  let seconds = 0;
  while (cache.get("a", "key") !== undefined && seconds < 10_000) {
    clock.pass(1000);
    seconds += 1;
  }
  return seconds;
}

describe("a kept answer", () => {
  it.each([
    ["as long as its shortest record", positive(300, 20), 20],
    ["not at all where a record says so", positive(300, 0), 0],
    ["an hour at most", positive(864_000), 3_600],
    ["as long as the SOA where there is none", negative(10, 30), 10],
    ["as long as the zone wants where there is none", negative(60, 30), 30],
    ["five minutes at most where there is none", negative(86_400, 86_400), 300],
    ["not at all where nobody says how long there is none", { ...negative(1, 1), authority: undefined }, 0],
  ])("lasts %s", (_, response, seconds) => {
    expect(keptFor(response)).toBe(seconds);
  });

  it("tells what is left of its times", () => {
    cache.set("a", "key", positive(60, 40));
    clock.pass(15_900);
    expect(cache.get("a", "key")?.records.map((record) => record.ttl)).toEqual([45, 25]);
  });

  it("belongs to who asked for it", () => {
    cache.set("a", "key", positive(60));
    expect(cache.get("b", "key")).toBeUndefined();
    expect(cache.get("a", "other")).toBeUndefined();
    expect(cache.get("a", "key")).toBeDefined();
  });

  it("goes with an asker who has not come for 50 s", () => {
    cache.set("a", "key", positive(600));
    clock.pass(49_000);
    expect(cache.get("a", "key")).toBeDefined();
    clock.pass(50_000);
    expect(cache.get("b", "key")).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });
});

describe("the bounds", () => {
  const fill = (client: string, count: number) => {
    for (let index = 0; index < count; index += 1) cache.set(client, `${client}${index}`, positive(600));
  };

  it("drop an asker's oldest first, and leave the others'", () => {
    fill("b", 3);
    fill("a", 100);
    expect(cache.bytes).toBeLessThanOrEqual(8_000 + 3 * 700);
    expect(cache.get("a", "a99")).toBeDefined();
    expect(cache.get("a", "a0")).toBeUndefined();
    for (let index = 0; index < 3; index += 1) expect(cache.get("b", `b${index}`)).toBeDefined();
  });

  it("keep what is used", () => {
    fill("a", 5);
    for (let index = 5; index < 60; index += 1) {
      expect(cache.get("a", "a2")).toBeDefined();
      cache.set("a", `a${index}`, positive(600));
    }
    expect(cache.get("a", "a3")).toBeUndefined();
  });

  it("hold for all together: who has not come for longest gives way", () => {
    for (const client of ["a", "b", "c", "d", "e"]) fill(client, 100);
    expect(cache.bytes).toBeLessThanOrEqual(20_000);
    expect(cache.get("a", "a99")).toBeUndefined();
    expect(cache.get("e", "e99")).toBeDefined();
  });

  it("refuse what is larger than all that an asker may have", () => {
    cache.set("a", "key", positive(...Array.from({ length: 60 }, () => 600)));
    expect(cache.get("a", "key")).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });

  it("count what is set again once", () => {
    fill("a", 1);
    const { bytes } = cache;
    fill("a", 1);
    expect(cache.bytes).toBe(bytes);
  });
});
