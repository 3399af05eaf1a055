// What must not be written is not, and what is written often is written as everything else.
import { expect, it } from "vitest";
import { NO_BODY } from "./framing.ts";
import { lastingHeader, writeRequestHead } from "./write-head.ts";

const written = (headers: Parameters<typeof writeRequestHead>[0]["headers"]) =>
  writeRequestHead({ method: "GET", target: "/", headers }, NO_BODY, false);

it("a lasting header is written as any other, each time", () => {
  const lasting = lastingHeader("X-A", "\t\xe9 b");
  expect(lasting).toEqual(["X-A", "\t\xe9 b"]);
  for (let time = 0; time < 2; time += 1) {
    expect(written([lasting, ["X-B", ""], lasting])).toBe(written([["X-A", "\t\xe9 b"], ["X-B", ""], [...lasting]]));
  }
});

it.each([
  ["Connection", "close"],
  ["content_length", "1"],
  ["Transfer-Encoding", "chunked"],
  ["X A", "b"],
  ["", "b"],
  ["X-A", "b\r\nX-C: d"],
  ["X-A", "b\n"],
  ["X-A", "\0"],
  ["X-A", "\x7f"],
  ["X-A", "\u0100"],
])("%j with %j is refused, lasting or not", (name, value) => {
  expect(() => lastingHeader(name, value)).toThrow(TypeError);
  expect(() =>
    written([
      ["X-B", "c"],
      [name, value],
    ]),
  ).toThrow(TypeError);
});
