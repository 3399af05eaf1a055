// What a request's head may be, and what it may not: each in bytes.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BadMessage } from "../bad-message.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { FIELD_VALUE, isAll } from "./characters.ts";
import { scanRequestHead } from "./request-head.ts";

const HOST = "sb-01jz0000000000000000000001.localhost:7443";
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

function scan(text: string) {
  return scanRequestHead(text, DEFAULT_LIMITS);
}

function head(line: string, ...fields: string[]): string {
  return `${[line, `Host: ${HOST}`, ...fields].join("\r\n")}\r\n\r\n`;
}

function codeOf(text: string): string {
  try {
    scan(text);
    return "accepted";
  } catch (error) {
    if (error instanceof BadMessage) return error.code;
    throw error;
  }
}

describe("a request's head", () => {
  it("is read to its parts", () => {
    expect(scan(head("GET /a?b=c HTTP/1.1", "Accept:\t*/* ", "X-Empty:", "X-Latin: \xe9"))).toEqual({
      method: "GET",
      target: "/a?b=c",
      isHttp10: false,
      host: HOST,
      headers: [
        ["Host", HOST],
        ["Accept", "*/*"],
        ["X-Empty", ""],
        ["X-Latin", "\xe9"],
      ],
      endToEnd: [
        ["Host", HOST],
        ["Accept", "*/*"],
        ["X-Empty", ""],
        ["X-Latin", "\xe9"],
      ],
      framing: { kind: "none" },
      expectsContinue: false,
      keepAlive: true,
      webSocketKey: undefined,
      notes: { carried: undefined },
    });
  });

  it.each([
    [`http://${HOST}/a?b`, "GET", "/a?b"],
    [`HTTPS://${HOST.toUpperCase()}/`, "GET", "/"],
    [`https://${HOST}`, "GET", "/"],
    [`https://${HOST}?q`, "GET", "/?q"],
    [`https://${HOST}`, "OPTIONS", "*"],
    ["*", "OPTIONS", "*"],
    ["//evil/", "GET", "//evil/"],
  ])("reduces the target %s of %s to %s", (target, method, origin) => {
    expect(scan(head(`${method} ${target} HTTP/1.1`)).target).toBe(origin);
  });

  it.each([
    ["a bare line feed", "GET / HTTP/1.1\nHost: x\r\n\r\n", "MalformedRequest"],
    ["a bare line feed among the fields", head("GET / HTTP/1.1", "A: b\nC: d"), "MalformedRequest"],
    ["a bare carriage return", head("GET / HTTP/1.1", "A: b\rC: d"), "MalformedRequest"],
    ["a NUL", head("GET / HTTP/1.1", "A: b\0c"), "MalformedRequest"],
    ["DEL", head("GET / HTTP/1.1", "A: b\x7fc"), "MalformedRequest"],
    ["a fold", head("GET / HTTP/1.1", "A: b", " c: d"), "MalformedRequest"],
    ["a tab fold", head("GET / HTTP/1.1", "A: b", "\tc: d"), "MalformedRequest"],
    ["a fold of the first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", "MalformedRequest"],
    ["a blank before the colon", head("GET / HTTP/1.1", "A : b"), "MalformedRequest"],
    ["a name of nothing", head("GET / HTTP/1.1", ": b"), "MalformedRequest"],
    ["no colon", head("GET / HTTP/1.1", "abc"), "MalformedRequest"],
    ["a name beyond ASCII", head("GET / HTTP/1.1", "\xc0: b"), "MalformedRequest"],
    ["a quoted name", head("GET / HTTP/1.1", '"a": b'), "MalformedRequest"],
    ["no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", "MalformedRequest"],
    ["no Host over HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "MalformedRequest"],
    ["Host twice", head("GET / HTTP/1.1", `host: ${HOST}`), "MalformedRequest"],
    ["another authority", head("GET http://other/ HTTP/1.1"), "MalformedRequest"],
    ["userinfo", head(`GET http://a@${HOST}/ HTTP/1.1`), "MalformedRequest"],
    ["another scheme", head(`GET ftp://${HOST}/ HTTP/1.1`), "MalformedRequest"],
    ["an authority form", head(`GET ${HOST} HTTP/1.1`), "MalformedRequest"],
    ["an asterisk", head("GET * HTTP/1.1"), "MalformedRequest"],
    ["a fragment", head("GET /a#b HTTP/1.1"), "MalformedRequest"],
    ["a target beyond ASCII", head("GET /\xe9 HTTP/1.1"), "MalformedRequest"],
    ["a tab in the target", head("GET /a\tb HTTP/1.1"), "MalformedRequest"],
    ["two spaces", head("GET  / HTTP/1.1"), "MalformedRequest"],
    ["a trailing space", head("GET / HTTP/1.1 "), "MalformedRequest"],
    ["a leading space", head(" GET / HTTP/1.1"), "MalformedRequest"],
    ["lower case", head("get / HTTP/1.1"), "MalformedRequest"],
    ["no version", head("GET /"), "MalformedRequest"],
    ["a version in lower case", head("GET / http/1.1"), "MalformedRequest"],
    ["HTTP/1.2", head("GET / HTTP/1.2"), "UnsupportedVersion"],
    ["HTTP/0.9", head("GET / HTTP/0.9"), "UnsupportedVersion"],
    ["HTTP/2", head("PRI * HTTP/2.0"), "UnsupportedVersion"],
    ["HTTP/1.10", head("GET / HTTP/1.10"), "MalformedRequest"],
    ["CONNECT", head(`CONNECT ${HOST} HTTP/1.1`), "MethodNotAllowed"],
    ["TRACE", head("TRACE / HTTP/1.1"), "MethodNotAllowed"],
    ["both framings", head("POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"), "MalformedRequest"],
    ["two equal lengths", head("POST / HTTP/1.1", "Content-Length: 1", "content-length: 1"), "MalformedRequest"],
    ["a list of lengths", head("POST / HTTP/1.1", "Content-Length: 1, 1"), "MalformedRequest"],
    ["a signed length", head("POST / HTTP/1.1", "Content-Length: +1"), "MalformedRequest"],
    ["a negative length", head("POST / HTTP/1.1", "Content-Length: -1"), "MalformedRequest"],
    ["a hexadecimal length", head("POST / HTTP/1.1", "Content-Length: 0x1"), "MalformedRequest"],
    ["an empty length", head("POST / HTTP/1.1", "Content-Length:"), "MalformedRequest"],
    ["a length beyond counting", head("POST / HTTP/1.1", `Content-Length: ${"9".repeat(16)}`), "MalformedRequest"],
    ["a disguised length", head("POST / HTTP/1.1", "Content_Length: 1"), "MalformedRequest"],
    ["a disguised coding", head("POST / HTTP/1.1", "transfer_encoding: chunked"), "MalformedRequest"],
    [
      "chunked twice",
      head("POST / HTTP/1.1", ...Array<string>(2).fill("Transfer-Encoding: chunked")),
      "MalformedRequest",
    ],
    ["another coding", head("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), "UnsupportedTransferCoding"],
    ["identity", head("POST / HTTP/1.1", "Transfer-Encoding: identity"), "UnsupportedTransferCoding"],
    ["xchunked", head("POST / HTTP/1.1", "Transfer-Encoding: xchunked"), "UnsupportedTransferCoding"],
    ["chunked over 1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked"), "MalformedRequest"],
    ["another expectation", head("POST / HTTP/1.1", "Expect: 200-ok"), "UnsupportedExpectation"],
    ["a Connection of no tokens", head("GET / HTTP/1.1", "Connection: a b"), "MalformedRequest"],
    ["too many fields", head("GET / HTTP/1.1", ...Array<string>(128).fill("A: b")), "HeadTooLarge"],
    ["a long target", head(`GET /${"a".repeat(8_192)} HTTP/1.1`), "UrlTooLong"],
  ])("with %s is refused", (_what, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it("keeps from the app what is for one hop, and what Connection names but for Host", () => {
    const fields = [
      "Connection: close, X-Mine, Host, content-type",
      "Connection: te",
      "X-Mine: 1",
      "x-mine: 2",
      "Content-Type: a/b",
      "Keep-Alive: timeout=5",
      "Proxy-Authorization: Basic x",
      "Proxy: http://evil",
      "TE: trailers",
      "Trailer: X",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAAP__",
      "Content-Length: 3",
      "Expect: 100-continue",
      "Accept: */*",
    ];
    const request = scan(head("POST / HTTP/1.1", ...fields));
    expect(request.endToEnd).toEqual([
      ["Host", HOST],
      ["Accept", "*/*"],
    ]);
    expect(request.headers).toHaveLength(fields.length + 1);
    expect(request).toMatchObject({ keepAlive: false, expectsContinue: true, framing: { kind: "length", length: 3 } });
  });

  it.each([
    ["HTTP/1.1", [], true],
    ["HTTP/1.1", ["Connection: Close"], false],
    ["HTTP/1.0", [], false],
    ["HTTP/1.0", ["Connection: Keep-Alive"], true],
    ["HTTP/1.0", ["Connection: keep-alive, close"], false],
  ])("over %s with %j lives on: %s", (version, fields, keepAlive) => {
    expect(scan(head(`GET / ${version}`, ...fields)).keepAlive).toBe(keepAlive);
  });
});

describe("a WebSocket handshake", () => {
  const FIELDS: Readonly<Record<string, string>> = {
    connection: "Connection: keep-alive, Upgrade",
    upgrade: "Upgrade: WebSocket",
    version: "Sec-WebSocket-Version: 13",
    key: `Sec-WebSocket-Key: ${KEY}`,
  };
  const handshake = (changes: Readonly<Record<string, string>> = {}, line = "GET /ws HTTP/1.1") =>
    scan(head(line, ...Object.values({ ...FIELDS, ...changes }).filter((field) => field !== ""))).webSocketKey;

  it("is known by all of its parts", () => {
    expect(handshake()).toBe(KEY);
  });

  it.each([
    ["no Connection", { connection: "" }],
    ["a Connection that names something else", { connection: "Connection: keep-alive" }],
    ["no Upgrade", { upgrade: "" }],
    ["Upgrade to h2c", { upgrade: "Upgrade: h2c" }],
    ["Upgrade to one of two", { upgrade: "Upgrade: websocket, h2c" }],
    ["Upgrade twice", { more: "Upgrade: websocket" }],
    ["no version", { version: "" }],
    ["version 8", { version: "Sec-WebSocket-Version: 8" }],
    ["two versions", { more: "Sec-WebSocket-Version: 13" }],
    ["no key", { key: "" }],
    ["two keys", { more: `Sec-WebSocket-Key: ${KEY}` }],
    ["a short key", { key: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j" }],
    ["a key with stray bits", { key: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==" }],
    ["a body", { more: "Content-Length: 0" }],
  ])("with %s is none", (_what, changes) => {
    expect(handshake(changes)).toBeUndefined();
  });

  it("is none by POST or over HTTP/1.0", () => {
    expect(handshake({}, "POST /ws HTTP/1.1")).toBeUndefined();
    expect(handshake({}, "GET /ws HTTP/1.0")).toBeUndefined();
  });
});

describe("whatever bytes come", () => {
  const piece = fc.oneof(
    fc.constantFrom("\r\n", "\n", "\r", ":", " ", "\t", "\0", "GET", "POST", "/", "HTTP/1.1", "Host: a", "chunked"),
    fc.constantFrom("Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "1", ",", "\x80", "_"),
    fc.string({ maxLength: 8, unit: "binary-ascii" }),
  );

  it("a head is accepted or refused by a code, and nothing that is accepted holds a control character", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = head("GET / HTTP/1.1").slice(0, -2) + pieces.join("");
        try {
          const request = scan(`${text}\r\n\r\n`);
          const parts = [request.method, request.target, request.host, ...request.headers.flat()];
          for (const part of parts) expect(isAll(part, FIELD_VALUE)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(BadMessage);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
