// Which words of a command line mean a path within a sandbox.
import { expect, it } from "vitest";
import { parsePlace } from "./place.ts";

const ID = "sb-01jz0000000000000000000000";

it("tells a place from a local path", () => {
  expect(parsePlace(`${ID}:/etc/a:b`)).toEqual({ id: ID, path: "/etc/a:b" });
  for (const text of ["file", "./sb-1:/x", "C:/x", "sb-:/x", "/sb-1:/x", ""]) expect(parsePlace(text)).toBeUndefined();
});

it("refuses a path within a sandbox that is not absolute", () => {
  for (const text of [`${ID}:`, `${ID}:etc`]) {
    expect(() => parsePlace(text)).toThrow(expect.objectContaining({ code: "Usage" }));
  }
});
