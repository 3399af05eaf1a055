// The chunked coding: what is read of it, however it is cut, and what is refused.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { malformed } from "../bad-message.ts";
import { ChunkedReader } from "./chunked-reader.ts";
import { chunkOf, lastChunk } from "./chunked-writer.ts";
import { endToEndTrailers } from "./trailers.ts";

/** Reads a text in pieces that are cut at these places. */
function read(text: string, cuts: readonly number[] = []) {
  const reader = new ChunkedReader(malformed);
  const bytes = Buffer.from(text, "latin1");
  const content: Buffer[] = [];
  let consumed = 0;
  let from = 0;
  for (const to of [...cuts.toSorted((left, right) => left - right), bytes.length]) {
    const piece = bytes.subarray(from, to);
    if (!reader.done) consumed += reader.read(piece, 0, (part) => content.push(part));
    from = to;
  }
  return {
    content: Buffer.concat(content).toString("latin1"),
    trailers: reader.trailers,
    rest: text.slice(consumed),
    done: reader.done,
  };
}

describe("the chunked coding", () => {
  it("is read to its end, and no further", () => {
    const text = '3\r\nabc\r\nA;name=value;x="y"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET /';
    const expected = { content: "abc0123456789", trailers: [["X-Sum", "1"]], rest: "GET /", done: true };
    expect(read(text)).toEqual(expected);
    for (let at = 1; at < text.length; at += 1) expect(read(text, [at])).toEqual(expected);
    expect(
      read(
        text,
        Array.from({ length: text.length }, (_, index) => index),
      ),
    ).toEqual(expected);
  });

  it.each([
    ["no digits", "\r\n"],
    ["a sign", "+3\r\nabc\r\n"],
    ["a prefix", "0x3\r\nabc\r\n"],
    ["a blank before", " 3\r\nabc\r\n"],
    ["a blank behind", "3 \r\nabc\r\n"],
    ["a blank before an extension", "3 ;a=b\r\nabc\r\n"],
    ["a bare line feed", "3\nabc\r\n"],
    ["a bare carriage return", "3\rabc\r\n"],
    ["a line feed in an extension", "3;a\nb\r\nabc\r\n"],
    ["a NUL in an extension", "3;a\0b\r\nabc\r\n"],
    ["content that is too long", "3\r\nabcd\r\n"],
    ["content that ends with a line feed", "3\r\nabc\n0\r\n\r\n"],
    ["content that is too short", "3\r\nab\r\n0\r\n\r\n"],
    ["a size beyond counting", `${"f".repeat(13)}\r\n`],
    ["a long extension", `3;${"a".repeat(300)}\r\nabc\r\n`],
    ["many extensions", `${`1;${"a".repeat(200)}\r\nx\r\n`.repeat(100)}0\r\n\r\n`],
    ["a fold in the trailers", "0\r\nA: b\r\n c\r\n\r\n"],
    ["a bare line feed in the trailers", "0\r\nA: b\nC: d\r\n\r\n"],
    ["trailers without a colon", "0\r\nabc\r\n\r\n"],
    ["long trailers", `0\r\n${`A: ${"b".repeat(100)}\r\n`.repeat(100)}\r\n`],
    ["many trailers", `0\r\n${"A: b\r\n".repeat(40)}\r\n`],
  ])("with %s is refused", (_what, text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ name: "BadMessage" }));
    const everywhere = Array.from({ length: text.length }, (_, index) => index);
    expect(() => read(text, everywhere)).toThrow(expect.objectContaining({ name: "BadMessage" }));
  });

  it("is refused before the line ends that can never be sound", () => {
    expect(() => read("GET")).toThrow();
    expect(() => read("3\r\nabcX")).toThrow();
  });

  it("is read as it was written, however it is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
        fc.array(fc.nat({ max: 5_000 }), { maxLength: 10 }),
        (pieces, cuts) => {
          const chunks = pieces.map((piece) => chunkOf([Buffer.from(piece)]));
          const text = `${Buffer.concat([...chunks, lastChunk([["X-A", "b"]])]).toString("latin1")}rest`;
          const result = read(
            text,
            cuts.map((cut) => Math.min(cut, text.length)),
          );
          expect(result.content).toBe(Buffer.concat(pieces).toString("latin1"));
          expect(result).toMatchObject({ done: true, rest: "rest", trailers: [["X-A", "b"]] });
        },
      ),
    );
  });
});

it("trailers are no way to what only a head may say", () => {
  const never = [
    ["X-Verified-User-Data", "x"],
    ["x_verified_user_data", "x"],
    ["X-Verified_User-Assertion", "x"],
    ["x.verified.user.data", "x"],
    ["HTTP_X_VERIFIED_USER_DATA", "x"],
    ["Authorization_", "x"],
    ["X-Forwarded-For", "x"],
    ["x_forwarded_for", "x"],
    ["Forwarded", "x"],
    ["Content-Length", "5"],
    ["Content_Length", "5"],
    ["Transfer-Encoding", "chunked"],
    ["Host", "x"],
    ["Connection", "close"],
    ["Authorization", "x"],
    ["Cookie", "x"],
    ["Set-Cookie", "x"],
    ["Content-Type", "x"],
    ["Sec-Fetch-Site", "same-origin"],
    ["X-Request-Id", "x"],
    ["Clear-Site-Data", "*"],
  ] as const;
  const good = [
    ["X-Checksum", "1"],
    ["grpc-status", "0"],
    ["Server-Timing", "a"],
    ["ETag", "x"],
  ] as const;
  expect(endToEndTrailers([...never, ...good])).toEqual(good);
});
