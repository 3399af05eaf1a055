// Any JSON value becomes text that a header can carry, and comes back; what is none or too long is named.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { smallJson } from "../test/arbitraries.ts";
import { failure } from "../test/failure.ts";
import { isUserData, parseUserData, serializeUserData } from "./user-data.ts";

const nested = (depth: number): unknown => JSON.parse("[".repeat(depth) + "]".repeat(depth));
const cyclic: Record<string, unknown> = {};
cyclic["self"] = cyclic;

describe("user data", () => {
  it.each([
    [{ user_id: "foo" }, '{"user_id":"foo"}'],
    [null, "null"],
    [false, "false"],
    [-0, "0"],
    ["é\u007f\u2028😀\ud800\n", '"\\u00e9\\u007f\\u2028\\ud83d\\ude00\\ud800\\n"'],
    [{ ключ: [] }, '{"\\u043a\\u043b\\u044e\\u0447":[]}'],
    [Object.assign(Object.create(null) as object, { a: 1 }), '{"a":1}'],
    [JSON.parse('{"__proto__":1}'), '{"__proto__":1}'],
    ["", '""'],
  ])("%j is %s", (value, text) => {
    expect(serializeUserData(value)).toBe(text);
    expect(isUserData(text)).toBe(true);
  });

  it("is none where there is none", () => {
    expect(serializeUserData(undefined)).toBeUndefined();
    expect(parseUserData(undefined)).toBeUndefined();
  });

  it("of any value is printable ASCII, and reads back to the same", () => {
    fc.assert(
      fc.property(smallJson, (value) => {
        const text = serializeUserData(value);
        expect(text).toMatch(/^[\x20-\x7e]{1,511}$/);
        expect(parseUserData(text)).toEqual(value);
        expect(isUserData(text)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("has fewer than 512 characters, escapes counted", async () => {
    expect(serializeUserData("a".repeat(509))?.length).toBe(511);
    expect((await failure(() => serializeUserData("a".repeat(510)))).message).toBe(
      "userMetadata: 512 characters as ASCII JSON; fewer than 512 are allowed",
    );
    expect(serializeUserData("é".repeat(84))?.length).toBe(506);
    expect((await failure(() => serializeUserData("é".repeat(85)))).message).toContain("512 characters");
    expect(serializeUserData(nested(255))?.length).toBe(510);
    expect((await failure(() => serializeUserData(nested(256)))).field).toBe("userMetadata");
  });

  it.each<[string, unknown]>([
    ["userMetadata", 1n],
    ["userMetadata", Number.NaN],
    ["userMetadata", Number.POSITIVE_INFINITY],
    ["userMetadata", () => 1],
    ["userMetadata", Symbol("a")],
    ["userMetadata", new Date(0)],
    ["userMetadata", new Map()],
    ["userMetadata.at", { at: new Date(0) }],
    ["userMetadata.a[1].b", { a: [0, { b: undefined }] }],
    ["userMetadata[1]", [0, undefined]],
    ["userMetadata[0]", Array.from({ length: 1 }, () => Number.NaN)],
    ["userMetadata.\\u000d\\u000a", { "\r\n": undefined }],
  ])("is refused at %s where it is no JSON", async (field, value) => {
    const error = await failure(() => serializeUserData(value));
    expect([error.code, error.field, error.message]).toEqual(["InvalidArgument", field, `${field}: is no JSON value`]);
  });

  it("is refused where it never ends", async () => {
    expect((await failure(() => serializeUserData(cyclic))).code).toBe("InvalidArgument");
    expect((await failure(() => serializeUserData({ a: nested(5_000) }))).code).toBe("InvalidArgument");
  });

  it.each([
    "",
    " 1",
    "1 ",
    "{",
    '"é"',
    '"\\u00E9"',
    '"\\u0061"',
    "1.0",
    '{"a":1,"a":2}',
    `"${"a".repeat(510)}"`,
    1,
    null,
  ])("is not %j", (text) => {
    expect(isUserData(text)).toBe(false);
  });
});
