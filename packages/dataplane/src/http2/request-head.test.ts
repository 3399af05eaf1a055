// Which header lists are requests (RFC 9113, sections 8.1 to 8.5), and which trailers are trailers.
import { describe, expect, it } from "vitest";
import type { HeaderField } from "./hpack/field.ts";
import { trailersProblem } from "./message-fields.ts";
import { readRequestHead } from "./request-head.ts";

type Pair = readonly [name: string, value: string];
const fields = (pairs: readonly Pair[]): HeaderField[] =>
  pairs.map(([name, value]) => ({ name, value, sensitive: false }));
const read = (...pairs: readonly Pair[]) => readRequestHead(fields(pairs));

const METHOD: Pair = [":method", "GET"];
const SCHEME: Pair = [":scheme", "https"];
const AUTHORITY: Pair = [":authority", "a.example"];
const PATH: Pair = [":path", "/"];
const GET = [METHOD, SCHEME, AUTHORITY, PATH];

describe("a request", () => {
  it("is read", () => {
    expect(read(...GET, ["cookie", "a=b"], ["cookie", "c=d"], ["te", "trailers"], ["content-length", "5"])).toEqual({
      state: "request",
      method: "GET",
      scheme: "https",
      path: "/",
      authority: "a.example",
      protocol: undefined,
      contentLength: 5,
    });
  });

  it.each([
    ["Host for the authority", [METHOD, SCHEME, PATH, ["host", "a.example"]]],
    ["Host beside the same authority", [...GET, ["host", "A.example"]]],
    ["pseudo-headers in another order", [PATH, AUTHORITY, METHOD, SCHEME]],
    ["an asterisk for OPTIONS", [[":method", "OPTIONS"], SCHEME, AUTHORITY, [":path", "*"]]],
    ["obs-text in a value", [...GET, ["x", "\xe9\xff"]]],
    ["blanks and tabs inside a value", [...GET, ["x", "a \t b"]]],
    ["an empty value", [...GET, ["x", ""]]],
    ["the same length twice", [...GET, ["content-length", "5"], ["content-length", "5"]]],
    ["an IPv6 address for its authority", [METHOD, SCHEME, PATH, [":authority", "[::1]:443"]]],
  ] as const)("has %s", (_what, pairs) => {
    expect(read(...pairs)).toMatchObject({ state: "request" });
  });

  it("is CONNECT, plain or for a protocol", () => {
    expect(read([":method", "CONNECT"], [":authority", "a.example:443"])).toMatchObject({ path: undefined });
    const websocket: Pair[] = [[":method", "CONNECT"], [":protocol", "websocket"], SCHEME, PATH, AUTHORITY];
    expect(read(...websocket)).toMatchObject({ state: "request", protocol: "websocket", path: "/" });
  });
});

describe("a malformed request", () => {
  const without = (name: string) => GET.filter(([one]) => one !== name);
  const instead = (name: string, value: string): Pair[] => [...without(name), [name, value]];
  it.each([
    ["no fields", []],
    ["no method", without(":method")],
    ["no scheme", without(":scheme")],
    ["no path", without(":path")],
    ["no authority", without(":authority")],
    ["a method twice", [...GET, METHOD]],
    ["a path twice", [...GET, PATH]],
    ["an authority twice", [...GET, AUTHORITY]],
    ["a pseudo-header of answers", [...GET, [":status", "200"]]],
    ["an unknown pseudo-header", [...GET, [":x", "y"]]],
    ["an upper-case pseudo-header", [...without(":path"), [":Path", "/"]]],
    ["a pseudo-header behind a field", [METHOD, SCHEME, AUTHORITY, ["x", "y"], PATH]],
    ["an empty path", instead(":path", "")],
    ["a path that is none", instead(":path", "x")],
    ["an asterisk for GET", instead(":path", "*")],
    ["a whole URL for its path", instead(":path", "https://a.example/")],
    ["a blank in its path", instead(":path", "/a b")],
    ["a line end in its path", instead(":path", "/a\r\nx: y")],
    ["a fragment in its path", instead(":path", "/a#b")],
    ["a blank in its method", instead(":method", "GET /")],
    ["an empty method", instead(":method", "")],
    ["an empty scheme", instead(":scheme", "")],
    ["an empty authority", instead(":authority", "")],
    ["user information", instead(":authority", "me@a.example")],
    ["a path in its authority", instead(":authority", "a.example/x")],
    ["a blank in its authority", instead(":authority", "a.example b")],
    ["a null in its authority", instead(":authority", "a.example\0")],
    ["another Host", [...GET, ["host", "b.example"]]],
    ["Host twice", [...GET, ["host", "a.example"], ["host", "a.example"]]],
    ["an empty Host", [METHOD, SCHEME, PATH, ["host", ""]]],
    ["an upper-case name", [...GET, ["X", "y"]]],
    ["an empty name", [...GET, ["", "y"]]],
    ["a blank in a name", [...GET, ["x y", "z"]]],
    ["a colon in a name", [...GET, ["x:y", "z"]]],
    ["a line end in a name", [...GET, ["x\r\ny", "z"]]],
    ["obs-text in a name", [...GET, ["x\xe9", "z"]]],
    ["a line end in a value", [...GET, ["x", "a\nb"]]],
    ["a return in a value", [...GET, ["x", "a\rb"]]],
    ["a null in a value", [...GET, ["x", "a\0b"]]],
    ["a blank before a value", [...GET, ["x", " a"]]],
    ["a tab behind a value", [...GET, ["x", "a\t"]]],
    ["Connection", [...GET, ["connection", "keep-alive"]]],
    ["Proxy-Connection", [...GET, ["proxy-connection", "keep-alive"]]],
    ["Keep-Alive", [...GET, ["keep-alive", "1"]]],
    ["Transfer-Encoding", [...GET, ["transfer-encoding", "chunked"]]],
    ["Upgrade", [...GET, ["upgrade", "websocket"]]],
    ["TE of more than trailers", [...GET, ["te", "trailers, deflate"]]],
    ["a length that is none", [...GET, ["content-length", "+5"]]],
    ["an empty length", [...GET, ["content-length", ""]]],
    ["two lengths", [...GET, ["content-length", "5"], ["content-length", "6"]]],
    ["two lengths in one", [...GET, ["content-length", "5, 5"]]],
    ["a protocol without CONNECT", [...GET, [":protocol", "websocket"]]],
    ["a path with plain CONNECT", [[":method", "CONNECT"], AUTHORITY, PATH]],
    ["no path with a protocol", [[":method", "CONNECT"], [":protocol", "websocket"], SCHEME, AUTHORITY]],
  ] as const)("has %s", (_what, pairs) => {
    expect(read(...pairs)).toMatchObject({ state: "malformed" });
  });
});

describe("trailers", () => {
  it("are fields", () => {
    expect(
      trailersProblem(
        fields([
          ["grpc-status", "0"],
          ["grpc-message", "a b"],
        ]),
      ),
    ).toBeUndefined();
    expect(trailersProblem([])).toBeUndefined();
  });

  it.each([
    [":path", "/"],
    [":status", "200"],
    ["Upper", "x"],
    ["connection", "close"],
    ["x", "a\r\nb"],
  ])("have no %s: %j", (name, value) => {
    expect(trailersProblem(fields([[name, value]]))).toBeTypeOf("string");
  });
});
