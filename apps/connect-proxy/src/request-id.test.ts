// Ids have the shape that tools read, and none comes twice.
import { expect, it } from "vitest";
import { newRequestId } from "./request-id.ts";

it("is a UUID of version 4, another one each time", () => {
  const ids = Array.from({ length: 1_000 }, newRequestId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  // Each digit that is free takes each of its values.
  for (let at = 0; at < 36; at += 1) {
    const values = at === 14 || "----".includes(ids[0]?.charAt(at) ?? "") ? 1 : at === 19 ? 4 : 16;
    expect(new Set(ids.map((id) => id.charAt(at))).size).toBe(values);
  }
});
