// Real clients' hellos are read, and real clients understand why they are refused.
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { inRecords, withoutRecords } from "../../test/hello-bytes.ts";
import { nodeHello, opensslHello, realSession } from "../../test/real-hellos.ts";
import type { ClientHelloResult } from "./index.ts";
import { ClientHelloReader, formatAlert } from "./index.ts";

const NAME = "sb-01jd0000000000000000000000.localhost";
const TLS12 = 0x0303;
const TLS13 = 0x0304;

function read(...pieces: readonly Uint8Array[]): ClientHelloResult {
  const reader = new ClientHelloReader();
  let result = reader.push(Buffer.alloc(0));
  for (const piece of pieces) result = reader.push(piece);
  return result;
}

describe("node:tls", () => {
  it.each([
    ["with nothing set", {}, { serverName: undefined, alpn: [], supportedVersions: [TLS13, TLS12] }],
    ["with a name", { servername: "Sb-X.LocalHost" }, { serverName: "sb-x.localhost" }],
    ["with a final dot", { servername: "sb-x.localhost." }, { serverName: "sb-x.localhost" }],
    ["with ALPN", { ALPNProtocols: ["h2", "http/1.1"] }, { alpn: ["h2", "http/1.1"] }],
    ["of TLS 1.2", { maxVersion: "TLSv1.2" as const }, { supportedVersions: [TLS12] }],
    ["of TLS 1.3", { minVersion: "TLSv1.3" as const }, { supportedVersions: [TLS13] }],
    ["with one cipher", { ciphers: "ECDHE-RSA-AES128-GCM-SHA256", maxVersion: "TLSv1.2" as const }, { alpn: [] }],
    ["with three key shares' groups", { ecdhCurve: "P-521:P-256:X25519" }, { serverName: undefined }],
  ])("%s", async (_what, options, expected) => {
    const { bytes } = await nodeHello(options);
    expect(read(bytes)).toMatchObject({ state: "hello", byteLength: bytes.length, ...expected });
  });

  it("with a ticket", async () => {
    const plain = await nodeHello({ servername: NAME });
    const { bytes } = await nodeHello({ servername: NAME, session: await realSession(NAME) });
    expect(bytes.length).toBeGreaterThan(plain.bytes.length + 100);
    expect(read(bytes)).toMatchObject({ state: "hello", serverName: NAME });
  });
});

describe("openssl", () => {
  it.each([
    ["with nothing set", [], {}],
    ["without a name", ["-noservername"], { serverName: undefined, alpn: [] }],
    ["with a name", ["-servername", NAME], { serverName: NAME }],
    ["of TLS 1.2", ["-tls1_2"], { supportedVersions: [TLS12] }],
    ["of TLS 1.3", ["-tls1_3"], { supportedVersions: [TLS13] }],
    ["with ALPN", ["-alpn", "h2,acme-tls/1"], { alpn: ["h2", "acme-tls/1"] }],
    ["with other extensions", ["-status", "-no_ticket", "-nextprotoneg", "x", "-groups", "P-521:X25519"], { alpn: [] }],
  ])("%s", async (_what, options, expected) => {
    const { bytes } = await opensslHello(options);
    expect(read(bytes)).toMatchObject({ state: "hello", byteLength: bytes.length, ...expected });
  });

  it("in records of 512 bytes", async () => {
    const names = Array.from({ length: 40 }, (_, at) => `protocol-number-${at}`);
    const { bytes } = await opensslHello(["-servername", NAME, "-max_send_frag", "512", "-alpn", names.join(",")]);
    expect(bytes.readUInt16BE(3)).toBe(512);
    expect(read(bytes)).toMatchObject({ state: "hello", serverName: NAME, alpn: names, byteLength: bytes.length });
  });
});

describe("a refusal", () => {
  it.each([
    ["unrecognized_name", /UNRECOGNIZED_NAME/, /unrecognized name/],
    ["no_application_protocol", /NO_APPLICATION_PROTOCOL/, /no application protocol/],
    ["decode_error", /DECODE_ERROR/, /decode error/],
    ["protocol_version", /PROTOCOL_VERSION/, /protocol version/],
  ] as const)("by %s is understood", async (alert, ofNode, ofOpenssl) => {
    expect((await nodeHello({ servername: NAME }, formatAlert(alert))).complaint).toMatch(ofNode);
    expect((await opensslHello(["-servername", NAME], formatAlert(alert))).complaint).toMatch(ofOpenssl);
  });
});

describe.each(["node:tls", "openssl"])("a hello of %s", (client) => {
  let bytes: Buffer;
  let whole: ClientHelloResult;
  beforeAll(async () => {
    bytes =
      client === "node:tls"
        ? (await nodeHello({ servername: NAME, ALPNProtocols: ["h2"] })).bytes
        : (await opensslHello(["-servername", NAME, "-alpn", "h2"])).bytes;
    whole = read(bytes);
    expect(whole).toMatchObject({ state: "hello", serverName: NAME, alpn: ["h2"] });
  });

  it("is read wherever it is cut, and not before it is whole", () => {
    for (let cut = 0; cut < bytes.length; cut += 1) {
      expect(read(bytes.subarray(0, cut)), `${cut} bytes`).toEqual({ state: "need-more" });
      expect(read(bytes.subarray(0, cut), bytes.subarray(cut)), `cut at ${cut}`).toEqual(whole);
    }
    expect(read(...Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(whole);
  });

  it.each([1, 2, 3, 7, 100])("is read in records of %d bytes", (size) => {
    const records = inRecords(withoutRecords(bytes), size);
    expect(read(records)).toEqual({ ...whole, byteLength: records.length });
  });

  it("is the same whatever follows it, and whatever memory it lies in", () => {
    expect(read(Buffer.concat([bytes, Buffer.alloc(70_000, 0xff)]))).toEqual(whole);
    const room = Buffer.concat([Buffer.alloc(99, 0xff), bytes, Buffer.alloc(99, 0xff)]);
    const before = Buffer.from(room);
    expect(read(new Uint8Array(room.buffer, room.byteOffset + 99, bytes.length))).toEqual(whole);
    expect(room.equals(before)).toBe(true);
  });

  it("never throws with any byte changed, and is judged the same in pieces", () => {
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      for (const value of [0, 0xff, byte ^ 1, byte ^ 0x80, (byte + 1) & 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        const result = read(changed);
        const half = changed.length >> 1;
        expect(read(changed.subarray(0, half), changed.subarray(half)), `${value} at ${at}`).toEqual(result);
        if (result.state === "hello") expect(result.byteLength).toBeLessThanOrEqual(bytes.length);
      }
    }
  });

  it("is malformed wherever its message ends early, but where its extensions begin", () => {
    const message = withoutRecords(bytes);
    const hellos: ClientHelloResult[] = [];
    for (let end = 4; end < message.length; end += 1) {
      const short = Buffer.from(message.subarray(0, end));
      short.writeUIntBE(end - 4, 1, 3);
      const result = read(inRecords(short));
      if (result.state === "hello") hellos.push(result);
      else expect(result, `${end} bytes`).toEqual({ state: "refused", reason: "malformed", alert: "decode_error" });
    }
    expect(hellos).toMatchObject([{ serverName: undefined, alpn: [] }]);
  });

  it("is judged the same in any pieces, with any changes", () => {
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), cuts, (changes, places) => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        const ends = [...places.toSorted((a, b) => a - b), changed.length];
        const pieces = ends.map((end, at) => changed.subarray(ends[at - 1] ?? 0, end));
        expect(read(...pieces)).toEqual(read(changed));
      }),
    );
  });
});
