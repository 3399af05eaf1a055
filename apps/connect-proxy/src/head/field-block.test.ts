// Field lines that come again mean what they meant, and what they meant before another request line.
import { expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../limits.ts";
import { FieldBlocks } from "./field-block.ts";
import { scanRequestHead } from "./request-head.ts";

const MANY = 3_000;
const LINES = ["Host: a.example", "X-A: b", "Connection: X-A", "Transfer-Encoding: chunked"];

function head(line: string, ...fields: string[]): string {
  return `${[line, ...fields].join("\r\n")}\r\n\r\n`;
}

it("reads the same with what is remembered as without, whatever came before", () => {
  const known = new FieldBlocks();
  const heads = [
    "GET / HTTP/1.1",
    "POST /a?b HTTP/1.1",
    "GET http://a.example/ HTTP/1.1",
    "OPTIONS * HTTP/1.0",
  ].flatMap((line) => [head(line, ...LINES), head(line, ...LINES.slice(0, 3)), head(line, "Host: a.example")]);
  const read = (text: string, blocks?: FieldBlocks) => {
    try {
      return scanRequestHead(text, DEFAULT_LIMITS, blocks);
    } catch (error) {
      return error;
    }
  };
  for (let time = 0; time < 4; time += 1) {
    for (const text of heads) expect(read(text, known)).toEqual(read(text));
  }
});

it("remembers what came twice, and of lines that differ in one character each its own", () => {
  const known = new FieldBlocks();
  const notes = (text: string) => scanRequestHead(text, DEFAULT_LIMITS, known).notes;
  const first = notes(head("GET / HTTP/1.1", ...LINES));
  const second = notes(head("GET /2 HTTP/1.1", ...LINES));
  expect(second).not.toBe(first);
  expect(notes(head("PUT /3 HTTP/1.1", ...LINES))).toBe(second);
  const others = Array.from({ length: MANY }, (_, at) => head("GET / HTTP/1.1", `Host: a.example`, `X-A: ${at}`));
  for (const text of [...others, ...others]) {
    const value = scanRequestHead(text, DEFAULT_LIMITS, known).headers[1]?.[1];
    expect(text).toContain(`X-A: ${value}\r\n`);
  }
  // So many others came since.
  expect(notes(head("GET / HTTP/1.1", ...LINES))).not.toBe(second);
});

it("refuses what it refused before, each time", () => {
  const known = new FieldBlocks();
  for (let time = 0; time < 3; time += 1) {
    const scan = (...fields: string[]) => scanRequestHead(head("GET / HTTP/1.1", ...fields), DEFAULT_LIMITS, known);
    expect(() => scan("Host: a", "Host: a")).toThrow("more than one");
    expect(() => scan("Host: a", "X A: b")).toThrow("name is malformed");
    expect(() => scan("Host: a", "Content-Length: 1", "Transfer-Encoding: chunked")).toThrow("both");
    expect(() => scan("Host: a", "Connection: a b")).toThrow("no token");
  }
});
