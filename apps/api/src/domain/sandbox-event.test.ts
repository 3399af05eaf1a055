// Events: the documented types are the types, and a detail is small whoever wrote it.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { API_EVENT_TYPES, boundedDetail, isWorkerEventType, WORKER_EVENT_TYPES } from "./sandbox-event.ts";

describe("the types", () => {
  it("are those of docs/events.md", () => {
    const text = readFileSync(new URL("../../../../docs/events.md", import.meta.url), "utf8");
    const documented = new Set([...text.matchAll(/^\| `(\w+)`/gm)].map(([, type]) => type));
    expect(documented).toEqual(new Set([...API_EVENT_TYPES, ...WORKER_EVENT_TYPES]));
  });

  it("of the api are not a worker's to tell", () => {
    expect(API_EVENT_TYPES.filter(isWorkerEventType)).toEqual([]);
    expect(WORKER_EVENT_TYPES.every(isWorkerEventType)).toBe(true);
  });
});

describe("a detail", () => {
  it.each([
    [undefined, {}],
    ["text", {}],
    [[1], {}],
    [null, {}],
    [
      { a: 1, b: true, c: null, d: "x" },
      { a: 1, b: true, c: null, d: "x" },
    ],
    [
      { a: undefined, b: 1n, c: Number.POSITIVE_INFINITY },
      { a: null, b: null, c: null },
    ],
    [{ a: "\0\ud800" }, { a: "\uFFFD\uFFFD" }],
    [{ a: { b: { c: { d: 1 } } } }, { a: { b: { c: null } } }],
  ])("of %o is kept as %o", (written, kept) => {
    expect(boundedDetail(written)).toEqual(kept);
  });

  it("is cut in width and length", () => {
    const wide = Object.fromEntries(Array.from({ length: 99 }, (_, index) => [`k${index}`, "x".repeat(9_999)]));
    const kept = boundedDetail({ ...wide, list: Array.from({ length: 99 }, () => 1) });
    expect(Object.keys(kept)).toHaveLength(16);
    expect(kept["k0"]).toHaveLength(500);
    expect(boundedDetail({ list: Array.from({ length: 99 }, () => 1) })["list"]).toHaveLength(16);
  });
});
