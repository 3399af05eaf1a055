// Heads of HTTP/2 as lists: what is understood, and what is refused for what.
import { describe, expect, it } from "vitest";
import { BadMessage } from "../bad-message.ts";
import { readStreamHead } from "./stream-head.ts";

const LIMITS = { maxHeadBytes: 4_096, maxHeaders: 16, maxUrlBytes: 512 };
const HOST = "sb-00000000000000000000000000.localhost:7443";
type Pair = readonly [name: string, value: string];

function head({ method = "GET", scheme = "https", path = "/", authority = HOST } = {}): readonly Pair[] {
  return [
    [":method", method],
    [":scheme", scheme],
    [":path", path],
    [":authority", authority],
  ];
}

const fieldsOf = (pairs: readonly Pair[]) => pairs.map(([name, value]) => ({ name, value, sensitive: false }));
const read = (pairs: readonly Pair[], isWhole = true) => readStreamHead(fieldsOf(pairs), isWhole, LIMITS);

function refusal(pairs: readonly Pair[], isWhole = true): string {
  try {
    read(pairs, isWhole);
  } catch (error) {
    if (error instanceof BadMessage) return error.code;
    throw error;
  }
  return "none";
}

describe("a head that is understood", () => {
  it("becomes what HTTP/1.1 tells an app", () => {
    const found = read([
      ...head({ path: "/a?b=c" }),
      ["accept", "*/*"],
      ["te", "trailers"],
      ["x-a", "1"],
      ["x-a", "2"],
    ]);
    expect(found).toMatchObject({ method: "GET", target: "/a?b=c", host: HOST, framing: { kind: "none" } });
    expect(found.headers).toEqual([
      ["host", HOST],
      ["accept", "*/*"],
      ["te", "trailers"],
      ["x-a", "1"],
      ["x-a", "2"],
    ]);
    expect(found.endToEnd).toEqual([
      ["host", HOST],
      ["accept", "*/*"],
      ["x-a", "1"],
      ["x-a", "2"],
    ]);
  });

  it("joins cookie crumbs where the first of them stands", () => {
    const found = read([...head(), ["cookie", "a=1"], ["x-b", "2"], ["cookie", "c=3"], ["cookie", "d=4"]]);
    expect(found.endToEnd.slice(1)).toEqual([
      ["cookie", "a=1; c=3; d=4"],
      ["x-b", "2"],
    ]);
  });

  it("takes Host for the authority where there is none, and beside the same one", () => {
    expect(read([...head().slice(0, 3), ["host", HOST]]).headers).toEqual([["host", HOST]]);
    expect(read([...head(), ["host", HOST.toUpperCase()]]).headers).toEqual([["host", HOST]]);
  });

  it("has a length, chunks, or no body", () => {
    expect(read([...head({ method: "POST" }), ["content-length", "5"]], false).framing).toEqual({
      kind: "length",
      length: 5,
    });
    expect(read(head({ method: "POST" }), false).framing).toEqual({ kind: "chunked" });
    expect(read(head({ method: "POST" }), true).framing).toEqual({ kind: "none" });
  });

  it("knows an expectation, and OPTIONS of the server", () => {
    expect(read([...head({ method: "PUT" }), ["expect", "100-continue"]], false).expectsContinue).toBe(true);
    expect(read(head({ method: "OPTIONS", path: "*" })).target).toBe("*");
  });
});

describe("a head that is refused", () => {
  const malformed: Readonly<Record<string, readonly Pair[]>> = {
    "a method in lower case": head({ method: "get" }),
    "a method with a blank": head({ method: "GET /x" }),
    "no method": head().slice(1),
    "another scheme": head({ scheme: "http" }),
    "no scheme": head().toSpliced(1, 1),
    "no path": head().toSpliced(2, 1),
    "an empty path": head({ path: "" }),
    "a path without a slash": head({ path: "a" }),
    "an absolute path": head({ path: `https://${HOST}/` }),
    "a fragment": head({ path: "/a#b" }),
    "a blank in the path": head({ path: "/a b" }),
    "a line end in the path": head({ path: "/ HTTP/1.1\r\nhost: b" }),
    "octets beyond ASCII in the path": head({ path: "/\u00e9" }),
    "* of a GET": head({ path: "*" }),
    "no authority": head().slice(0, 3),
    "another Host": [...head(), ["host", "sb-11111111111111111111111111.localhost:7443"]],
    "Host twice": [...head(), ["host", HOST], ["host", HOST]],
    "a pseudo-header twice": [...head(), [":path", "/b"]],
    "a pseudo-header late": [...head().slice(0, 3), ["x-a", "1"], [":authority", HOST]],
    "a pseudo-header after Host": [...head().slice(0, 3), ["host", HOST], [":authority", HOST]],
    "an unknown pseudo-header": [...head(), [":protocol", "websocket"]],
    "a status": [...head(), [":status", "200"]],
    "upper case in a name": [...head(), ["X-a", "1"]],
    "a blank in a name": [...head(), ["x a", "1"]],
    "a colon in a name": [...head(), ["x:a", "1"]],
    "a line end in a name": [...head(), ["x\r\na", "1"]],
    "an empty name": [...head(), ["", "1"]],
    "a line end in a value": [...head(), ["x-a", "1\r\nx-verified-user-data: {}"]],
    "a null in a value": [...head(), ["x-a", "1\0"]],
    "a blank before a value": [...head(), ["x-a", " 1"]],
    "a tab behind a value": [...head(), ["x-a", "1\t"]],
    connection: [...head(), ["connection", "x-a"]],
    "keep-alive": [...head(), ["keep-alive", "timeout=5"]],
    "proxy-connection": [...head(), ["proxy-connection", "close"]],
    "transfer-encoding": [...head(), ["transfer-encoding", "chunked"]],
    transfer_encoding: [...head(), ["transfer_encoding", "chunked"]],
    upgrade: [...head(), ["upgrade", "h2c"]],
    "te: gzip": [...head(), ["te", "gzip"]],
    "two lengths": [...head(), ["content-length", "5"], ["content-length", "5"]],
    "a signed length": [...head(), ["content-length", "+5"]],
    "a list of lengths": [...head(), ["content-length", "5, 5"]],
    "an empty length": [...head(), ["content-length", ""]],
    content_length: [...head(), ["content_length", "5"]],
  };
  for (const [what, pairs] of Object.entries(malformed)) {
    it(`for ${what}`, () => {
      expect(refusal(pairs, false)).toBe("MalformedRequest");
    });
  }

  it("for methods that are never forwarded", () => {
    for (const method of ["CONNECT", "TRACE", "TRACK"]) expect(refusal(head({ method }))).toBe("MethodNotAllowed");
  });

  it("for another expectation", () => {
    expect(refusal([...head(), ["expect", "200-ok"]])).toBe("UnsupportedExpectation");
  });

  it("for its size", () => {
    expect(refusal(head({ path: `/${"a".repeat(512)}` }))).toBe("UrlTooLong");
    expect(refusal([...head(), ["x-a", "a".repeat(4_000)]])).toBe("HeadTooLarge");
    const many = Array.from({ length: 17 }, (_, at): Pair => [`x-${at}`, ""]);
    expect(refusal([...head(), ...many])).toBe("HeadTooLarge");
    // Of crumbs each counts for what it takes, though they become one field.
    expect(refusal([...head(), ...Array.from({ length: 120 }, (): Pair => ["cookie", ""])])).toBe("HeadTooLarge");
  });
});
