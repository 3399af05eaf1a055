// What a hello may be and what it may not, put together byte by byte.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Extension, HelloParts } from "../../test/hello-bytes.ts";
import { alpn, helloMessage, inRecords, message, serverName, vector, versions } from "../../test/hello-bytes.ts";
import type { ClientHelloResult } from "./index.ts";
import { ClientHelloReader, formatAlert, MAX_CLIENT_HELLO_BYTES } from "./index.ts";

const NAME = serverName("a.example");
const NEED_MORE: ClientHelloResult = { state: "need-more" };

function read(bytes: Uint8Array): ClientHelloResult {
  return new ClientHelloReader().push(bytes);
}

function readParts(parts: HelloParts): ClientHelloResult {
  return read(inRecords(helloMessage(parts)));
}

function readExtensions(...extensions: readonly Extension[]): ClientHelloResult {
  return readParts({ extensions });
}

function refused(reason: string, alert: string): object {
  return { state: "refused", reason, alert };
}

describe("a hello", () => {
  it("says where it goes and what it speaks", () => {
    const bytes = inRecords(helloMessage({ extensions: [NAME, alpn("h2"), versions(0x0304, 0x0303)] }));
    expect(read(bytes)).toEqual({
      state: "hello",
      serverName: "a.example",
      alpn: ["h2"],
      supportedVersions: [0x0304, 0x0303],
      byteLength: bytes.length,
    });
  });

  it.each([{ extensions: undefined }, { extensions: [] }])("may have no extensions (%j)", ({ extensions }) => {
    const expected = { state: "hello", serverName: undefined, alpn: [], supportedVersions: [0x0301] };
    expect(readParts({ version: 0x0301, extensions })).toMatchObject(expected);
  });

  it("may hold reserved values, which mean nothing (RFC 8701)", () => {
    const reserved = Array.from({ length: 16 }, (_, at) => 0x0a0a + 0x1010 * at);
    const extensions = reserved.map((type, at): Extension => [type, Buffer.alloc(at % 2)]);
    expect(readExtensions(...extensions, NAME, versions(...reserved, 0x0304))).toMatchObject({
      serverName: "a.example",
      supportedVersions: [0x0304],
    });
    expect(readExtensions(alpn("\x0a\x0a", "h2"))).toMatchObject({ alpn: ["\x0a\x0a", "h2"] });
    expect(readExtensions(versions(0x0a1a, 0x1a0a, 0x0a0b))).toMatchObject({
      supportedVersions: [0x0a1a, 0x1a0a, 0x0a0b],
    });
  });

  it("may be as large as post-quantum key shares, tickets and encrypted hellos make it", () => {
    const keyShare: Extension = [
      51,
      vector(2, Buffer.concat([Buffer.from([0x11, 0xec]), vector(2, Buffer.alloc(1216))])),
    ];
    const encryptedHello: Extension = [0xfe0d, Buffer.alloc(2_000, 7)];
    const ticket: Extension = [41, Buffer.alloc(17_000, 9)];
    const bytes = inRecords(helloMessage({ extensions: [keyShare, encryptedHello, NAME, ticket] }));
    expect(bytes.length).toBeGreaterThan(20_000);
    expect(read(bytes)).toMatchObject({ state: "hello", serverName: "a.example", byteLength: bytes.length });
  });

  it("keeps its result, whatever follows", () => {
    const reader = new ClientHelloReader();
    const result = reader.push(inRecords(helloMessage({ extensions: [NAME] })));
    expect(reader.push(Buffer.from("GET / HTTP/1.1"))).toBe(result);
  });

  it("is read in records of every size, in every order of pieces", () => {
    const handshake = helloMessage({ extensions: [NAME, alpn("h2"), versions(0x0304)] });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 50 }), (size, step) => {
        const bytes = inRecords(handshake, size);
        const reader = new ClientHelloReader();
        for (let at = 0; at + step < bytes.length; at += step) {
          expect(reader.push(bytes.subarray(at, at + step))).toEqual(NEED_MORE);
        }
        const rest = bytes.subarray(Math.floor((bytes.length - 1) / step) * step);
        expect(reader.push(rest)).toMatchObject({ serverName: "a.example", byteLength: bytes.length });
      }),
    );
  });
});

describe("a server name", () => {
  it.each([
    ["EXAMPLE.com", "example.com"],
    ["example.com.", "example.com"],
    ["localhost", "localhost"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["1.2.3.4.example", "1.2.3.4.example"],
    [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`],
    [`${"a.".repeat(126)}b`, `${"a.".repeat(126)}b`],
    [`${"a.".repeat(126)}b.`, `${"a.".repeat(126)}b`],
  ])("%j is read", (text, expected) => {
    expect(readExtensions(serverName(text))).toMatchObject({ state: "hello", serverName: expected });
  });

  const odd = [".", "a..b", ".a", "a..", "-a.b", "a-.b", "a_b.c", "*.a", "a b", "a\0", "\0a", "a/b", "a:443"];
  const foreign = ["b\xfccher.example", "1.2.3.4", "[::1]", "::1", "a.1", "a\r\nb", " a", "a.b "];
  const long = [`${"a".repeat(64)}.example`, `${"a.".repeat(127)}b`];
  it.each([...odd, ...foreign, ...long])("%j is no name of a host", (text) => {
    expect(readExtensions(serverName(text))).toEqual(refused("server-name", "unrecognized_name"));
  });

  const entry = (kind: number, text: string) => Buffer.concat([Buffer.from([kind]), vector(2, Buffer.from(text))]);
  it.each([
    ["two names", vector(2, Buffer.concat([entry(0, "a"), entry(0, "b")]))],
    ["another kind", vector(2, entry(1, "a"))],
    ["an empty name", vector(2, entry(0, ""))],
    ["an empty list", vector(2, Buffer.alloc(0))],
    ["nothing", Buffer.alloc(0)],
    ["half a length", Buffer.alloc(1)],
    ["a byte behind the list", Buffer.concat([vector(2, entry(0, "a")), Buffer.alloc(1)])],
    ["a name longer than its list", vector(2, Buffer.from([0, 0, 2, 0x61]))],
    ["a list longer than the extension", Buffer.from([0, 9, 0, 0, 1, 0x61])],
  ])("of %s is malformed", (_what, content) => {
    expect(readExtensions([0, content])).toEqual(refused("malformed", "decode_error"));
  });
});

describe("what is no hello", () => {
  it.each([0, 0x0a0a, 16, 43, 51, 0xfe0d])("has extension %d twice", (type) => {
    const extension: Extension = [type, type === 0 ? NAME[1] : Buffer.from([2, 3, 4])];
    expect(readExtensions(extension, [77, Buffer.alloc(0)], extension)).toEqual(
      refused("duplicate-extension", "illegal_parameter"),
    );
  });

  it.each([
    ["a session id of 33 bytes", { sessionId: Buffer.alloc(33) }],
    ["no cipher suites", { ciphers: Buffer.alloc(0) }],
    ["half a cipher suite", { ciphers: Buffer.alloc(3) }],
    ["no compression method", { compression: Buffer.alloc(0) }],
    ["an empty list of protocols", { extensions: [alpn()] }],
    ["an empty protocol", { extensions: [alpn("h2", "")] }],
    ["bytes behind the protocols", { extensions: [[16, Buffer.from([0, 2, 1, 0x61, 0])] as const] }],
    ["no versions", { extensions: [versions()] }],
    ["half a version", { extensions: [[43, Buffer.from([3, 3, 4, 3])] as const] }],
  ])("has %s", (_what, parts) => {
    expect(readParts(parts)).toEqual(refused("malformed", "decode_error"));
  });

  it("has bytes behind its extensions, or extensions that are cut", () => {
    const body = helloMessage({ extensions: [NAME] }).subarray(4);
    expect(read(inRecords(message(Buffer.concat([body, Buffer.alloc(1)]))))).toMatchObject({ reason: "malformed" });
    expect(read(inRecords(message(body.subarray(0, -1))))).toMatchObject({ reason: "malformed" });
  });

  it("is of a major version that never was", () => {
    expect(readParts({ version: 0x0403 })).toEqual(refused("malformed", "protocol_version"));
  });

  it("has something behind the ticket that signs it", () => {
    expect(readExtensions([41, Buffer.alloc(9)], NAME)).toEqual(refused("malformed", "illegal_parameter"));
  });

  it.each([
    ["an alert", [21], refused("record", "unexpected_message")],
    ["application data", [23], refused("record", "unexpected_message")],
    ["an empty record", [22, 3, 1, 0, 0], refused("record", "unexpected_message")],
    ["a record that is too long", [22, 3, 1, 0x40, 1], refused("record", "record_overflow")],
    ["a record of another version", [22, 2], refused("not-tls", "protocol_version")],
    ["a ServerHello", [22, 3, 1, 0, 1, 2], refused("message", "unexpected_message")],
    ["a hello with more in its record", [22, 3, 1, 0, 9, 1, 0, 0, 4], refused("message", "unexpected_message")],
    ["a hello that is too long", [22, 3, 1, 0, 4, 1, 1, 0, 0], refused("too-long", "illegal_parameter")],
    ["another record amid a hello", [22, 3, 1, 0, 1, 1, 23], refused("record", "unexpected_message")],
    ["HTTP amid a hello", [22, 3, 1, 0, 1, 1, 0x47], refused("record", "unexpected_message")],
    ["SSL 2", [0x80, 0x2e, 1, 0], refused("ssl2", "protocol_version")],
    ["a hello of SSL 2 for TLS", [0x80, 0x2e, 1, 3], refused("ssl2", "protocol_version")],
    ["another message of SSL 2", [0x80, 0x2e, 4], refused("not-tls", "unexpected_message")],
    ["nothing known", [0], refused("not-tls", "unexpected_message")],
  ])("is %s", (_what, bytes, expected) => {
    expect(read(Buffer.from(bytes))).toEqual(expected);
    expect(read(Buffer.from(bytes.slice(0, -1)))).toEqual(NEED_MORE);
  });

  it.each(["GET / HTTP/1.1\r\n", "POST /", "OPTIONS *", "PRI * HTTP/2.0", "CONNECT a:1"])("is HTTP: %j", (text) => {
    const bytes = Buffer.from(text);
    expect(read(bytes)).toEqual(refused("plain-http", "unexpected_message"));
    const told = text.indexOf(" ") + 1;
    expect(read(bytes.subarray(0, told))).toMatchObject({ reason: "plain-http" });
    for (let end = 0; end < told; end += 1) expect(read(bytes.subarray(0, end))).toEqual(NEED_MORE);
  });

  it.each(["PROXY TCP4", "GETX", "get /", "SSH-2.0-x", "\x16GET"])("is not even HTTP: %j", (text) => {
    expect(read(Buffer.from(text, "latin1"))).toMatchObject({ state: "refused", reason: "not-tls" });
  });

  it("is larger than the limit, its records' heads included", () => {
    const largest = MAX_CLIENT_HELLO_BYTES - 4 * 5 - helloMessage({ extensions: [] }).length - 4;
    const sized = (length: number) => inRecords(helloMessage({ extensions: [[77, Buffer.alloc(length)]] }));
    expect(sized(largest)).toHaveLength(MAX_CLIENT_HELLO_BYTES);
    expect(read(sized(largest))).toMatchObject({ state: "hello", byteLength: MAX_CLIENT_HELLO_BYTES });
    expect(read(sized(largest + 1))).toEqual(refused("too-long", "illegal_parameter"));
    const tiny = inRecords(helloMessage({ extensions: [[77, Buffer.alloc(20_000)]] }), 1);
    expect(read(tiny.subarray(0, MAX_CLIENT_HELLO_BYTES - 1))).toEqual(NEED_MORE);
    expect(read(tiny.subarray(0, MAX_CLIENT_HELLO_BYTES))).toEqual(refused("too-long", "illegal_parameter"));
  });

  it("never throws, whatever it is", () => {
    const start = fc.constantFrom([], [22], [22, 3, 1], [22, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3], [0x80]);
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, bytes) => {
        expect(["need-more", "hello", "refused"]).toContain(read(Buffer.concat([Buffer.from(head), bytes])).state);
      }),
      { numRuns: 2_000 },
    );
  });
});

it("writes alerts as the RFC has them", () => {
  expect(formatAlert("unrecognized_name")).toEqual(Buffer.from([21, 3, 3, 0, 2, 2, 112]));
  expect(formatAlert("decode_error")).toEqual(Buffer.from([21, 3, 3, 0, 2, 2, 50]));
});
