// What a sandbox controls is shown, not obeyed.
import { describe, expect, it } from "vitest";
import { parseDuration, parseEnv, parseNumber } from "./arguments.ts";
import { describeError } from "./errors.ts";
import { escapeLines, escapeText, toAge, toJson, toTable } from "./output.ts";

describe("escapeText", () => {
  it.each([
    ["plain, ünïcödé 🐎", "plain, ünïcödé 🐎"],
    ["\u001b[31mred", "\\x1b[31mred"],
    ["a\nb\tc\r", "a\\x0ab\\x09c\\x0d"],
    ["\u007f\u0000", "\\x7f\\x00"],
    ["\u009b2J\u0085", "\\x9b2J\\x85"],
    ["\u202eevil\u202c \u2066x\u2069 \u200f\u200e\u061c", "\\u202eevil\\u202c \\u2066x\\u2069 \\u200f\\u200e\\u061c"],
    ["\u2028\u2029\ufeff", "\\u2028\\u2029\\ufeff"],
    ["\ud800", "\\ud800"],
  ])("%j", (text, shown) => {
    expect(escapeText(text)).toBe(shown);
  });

  it("keeps line breaks only where lines are meant", () => {
    expect(escapeLines("a\n\tb\u001b\u202e")).toBe("a\n\tb\\x1b\\u202e");
  });
});

describe("toJson", () => {
  it("shows nothing raw, and means the same", () => {
    const value = { "k\u009b": "\u001b \u0085 \u202e \ufeff \u007f é 🐎\n" };
    const text = toJson(value);
    expect(text).not.toMatch(/[\u0080-\u009f\u202e\ufeff\u007f]/);
    expect(JSON.parse(text)).toEqual(value);
  });
});

it("toTable aligns and escapes", () => {
  expect(
    toTable(
      ["ID", "NAME"],
      [
        ["1", "a\u001b"],
        ["22", ""],
      ],
    ),
  ).toBe("ID  NAME\n1   a\\x1b\n22");
});

it("toAge", () => {
  expect([0, 5_000, 600_000, 7_200_000, 400_000_000].map(toAge)).toEqual(["0s", "5s", "10m", "2h", "5d"]);
});

it("errors show field and hint, escaped", () => {
  const error = Object.assign(new Error("bad\u001b"), { code: "InvalidArgument", field: "cpu", hint: "less\u202e" });
  expect(describeError(error, false)).toBe("sallyport: bad\\x1b\n  field: cpu\n  hint: less\\u202e\n");
  expect(JSON.parse(describeError(error, true))).toEqual({
    error: { code: "InvalidArgument", message: "bad\u001b", field: "cpu", hint: "less\u202e" },
  });
});

describe("arguments", () => {
  it("reads durations, numbers and variables", () => {
    expect(["90s", "10m", "2h", "500ms", "5", "1.5s"].map(parseDuration)).toEqual([
      90_000, 600_000, 7_200_000, 500, 5_000, 1_500,
    ]);
    for (const bad of ["", "s", "5d", "-1s", "1e3", "constructor"]) expect(() => parseDuration(bad)).toThrow("10m");
    expect(parseNumber("0.5")).toBe(0.5);
    for (const bad of ["", " ", "x", "Infinity"]) expect(() => parseNumber(bad)).toThrow("number");
    expect(parseEnv("B=x=y", { A: "1" })).toEqual({ A: "1", B: "x=y" });
    expect(() => parseEnv("=x", {})).toThrow("NAME=VALUE");
  });
});
