// Which connection a request gets, and how many are kept.
import { expect, it } from "vitest";
import { Places } from "./places.ts";
import { Pool } from "./pool.ts";

const one = (key: string, idleSinceMs: number) => ({ key, idleSinceMs });

it("gives the youngest of its key first, and none that is too old", () => {
  const pool = new Pool({ maxPooledPerPort: 4, maxPooled: 10 });
  const [a, b, c] = [one("x", 1), one("x", 2), one("y", 3)];
  for (const each of [a, b, c]) expect(pool.put(each)).toBe(true);
  expect(pool.take("z")).toBeUndefined();
  expect(pool.take("x", 3)).toBeUndefined();
  expect(pool.take("x", 2)).toBe(b);
  expect(pool.take("x", 2)).toBeUndefined();
  expect(pool.take("x")).toBe(a);
  expect(pool.take("x")).toBeUndefined();
  expect(pool.size).toBe(1);
});

it("keeps no more than it may, and forgets those that are gone", () => {
  const pool = new Pool({ maxPooledPerPort: 2, maxPooled: 3 });
  const all = [one("x", 1), one("x", 2), one("x", 3), one("y", 4), one("y", 5)];
  expect(all.map((each) => pool.put(each))).toEqual([true, true, false, true, false]);
  for (const each of all) pool.forget(each);
  expect(pool.size).toBe(0);
  expect(pool.take("x")).toBeUndefined();
  expect(pool.put(one("x", 6))).toBe(true);
});

it("a sandbox has so many places, and all of them so many", () => {
  const places = new Places(2, 3);
  expect(["a", "a", "a", "b", "b"].map((id) => places.take(id))).toEqual([true, true, false, true, false]);
  places.leave("a");
  expect(places.count).toBe(2);
  expect(places.take("b")).toBe(true);
  places.leave("nobody");
  expect(places.count).toBe(3);
});

it("sandboxes that left are not remembered for ever", () => {
  const places = new Places(1);
  for (let index = 0; index < 5_000; index += 1) {
    expect(places.take(`sb-${index}`)).toBe(true);
    places.leave(`sb-${index}`);
  }
  expect(places.take("sb-0")).toBe(true);
  expect(places.count).toBe(1);
});
