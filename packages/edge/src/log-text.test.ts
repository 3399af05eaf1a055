// Strangers' text in a log: one line, no order to a terminal, and the same text when it is read.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ACCESS_LOG_TEXT_CHARACTERS } from "./edge-limits.ts";
import { hostInLog, logText } from "./log-text.ts";

describe("a host in a log", () => {
  it("does not tell the label of a tunnel, which lets whoever knows it come", () => {
    const random = "0123456789abcdefghjkmnpqrs";
    expect(hostInLog(`tn-${random}.localhost`)).toBe("tn-0123*.localhost");
    expect(hostInLog(`tn-${random}`)).toBe("tn-0123*");
    expect(hostInLog(`sb-${random}.localhost`)).toBe(`sb-${random}.localhost`);
  });
});

describe("text in a log", () => {
  it.each([
    [undefined, "null"],
    ["", '""'],
    ["plain /a?b", '"plain /a?b"'],
    ['"', '"\\""'],
    ["\\", '"\\\\"'],
    ["\u001b[2J", '"\\u001b[2J"'],
    ["\u009b", '"\\u009b"'],
    ["\u202e", '"\\u202e"'],
    ["\u007f", '"\\u007f"'],
  ])("%j is %s", (value, text) => {
    expect(logText(value)).toBe(text);
  });

  it("is itself when it is read, cut to its bound, in printable ASCII alone", () => {
    const any = fc.string({ unit: "binary", maxLength: 2 * ACCESS_LOG_TEXT_CHARACTERS });
    fc.assert(
      fc.property(any, (value) => {
        const text = logText(value);
        expect(text).toMatch(/^[\x20-\x7e]*$/);
        expect(JSON.parse(text)).toBe(value.slice(0, ACCESS_LOG_TEXT_CHARACTERS));
      }),
    );
  });
});
