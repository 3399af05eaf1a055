// Answers as bytes: the same however they are cut, and never an error of ours whatever comes.
import fc from "fast-check";
import { expect, it } from "vitest";
import { BadMessage } from "../bad-message.ts";
import type { AnswerHead } from "../head/answer-head.ts";
import type { AnswerEvents, LastAnswer } from "./answer-parser.ts";
import { AnswerParser } from "./answer-parser.ts";

const LIMITS = { maxHeadBytes: 4_096, maxHeaders: 32 };

/** What is told of a text in these pieces. */
function told(pieces: readonly string[], method = "GET", last: LastAnswer = { bytes: undefined, head: undefined }) {
  const events: unknown[] = [];
  let content = "";
  const sink: AnswerEvents = {
    onInformation: ({ status }) => events.push(["information", status]),
    onHead: ({ absentLength, framing, status }: AnswerHead) => events.push(["head", status, framing, absentLength]),
    onContent: (bytes) => {
      content += bytes.toString("latin1");
    },
    onAnswerEnd: (_head, trailers, surplus) => events.push(["end", trailers, surplus]),
    onUpgrade: (_head, early) => events.push(["upgrade", early.toString("latin1")]),
  };
  const parser = new AnswerParser({ method, webSocketAccept: undefined }, LIMITS, sink, last);
  for (const piece of pieces) {
    if (events.some((event) => Array.isArray(event) && event[0] === "end")) break;
    parser.push(Buffer.from(piece, "latin1"));
  }
  return { events, content };
}

const CHUNKED = "Transfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nX-A: b\r\n\r\n";

it.each([
  ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"],
  ["chunks", `HTTP/1.1 200 OK\r\n${CHUNKED}`, "abc"],
  ["1xx before it", `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n${CHUNKED}`, "abc"],
  ["no body", "HTTP/1.1 204 No Content\r\n\r\n", ""],
])("an answer with %s is told the same however it is cut", (_what, text, content) => {
  const whole = told([text]);
  expect(whole.content).toBe(content);
  expect(whole.events.at(-1)).toEqual(["end", text.includes("X-A") ? [["X-A", "b"]] : [], false]);
  for (let at = 1; at < text.length; at += 1) expect(told([text.slice(0, at), text.slice(at)])).toEqual(whole);
  expect(told(text.split(""))).toEqual(whole);
});

it("what follows an answer is surplus", () => {
  expect(told(["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc"]).events.at(-1)).toEqual(["end", [], true]);
  expect(told(["HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\na"]).events.at(-1)).toEqual(["end", [], true]);
});

it("a head that is remembered means for HEAD what it means for HEAD", () => {
  const last: LastAnswer = { bytes: undefined, head: undefined };
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
  const first = told([`${text}abc`], "GET", last);
  expect(told([`${text}xyz`], "GET", last)).toEqual({ events: first.events, content: "xyz" });
  expect(told([text], "HEAD", last).events).toEqual([
    ["head", 200, { kind: "none" }, 3],
    ["end", [], false],
  ]);
  expect(told([`${text}abc`], "GET", last)).toEqual(first);
});

it("bytes of whatever kind are an answer or none, and nothing else", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.0 ",
      "HTTP/1.1 101 x\r\n",
      "\r\n",
      "\n",
      "\r\n\r\n",
      "0\r\n\r\n",
      "5\r\n",
    ),
    fc.constantFrom(
      "Content-Length: 3\r\n",
      "Transfer-Encoding: chunked\r\n",
      "Connection: close\r\n",
      "A: b\r\n",
      " c\r\n",
    ),
    fc.string({ maxLength: 12, unit: "binary-ascii" }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.constantFrom("GET", "HEAD"), (pieces, method) => {
      let whole: unknown;
      try {
        whole = told([pieces.join("")], method);
      } catch (error) {
        expect(error).toBeInstanceOf(BadMessage);
        return;
      }
      // In pieces it is the same up to where an end is known earlier than what is behind it.
      const cut = told(pieces, method);
      expect(cut.content).toBe((whole as typeof cut).content);
    }),
    { numRuns: 2_000 },
  );
});
