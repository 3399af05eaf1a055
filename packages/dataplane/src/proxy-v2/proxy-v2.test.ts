// Headers byte by byte as the specification has them, and in any pieces.
import { describe, expect, it } from "vitest";
import {
  header,
  hex,
  read,
  SIGNATURE,
  tcp,
  V4,
  V4_ADDRESSES,
  V6,
  V6_ADDRESSES,
  whole,
} from "../../test/proxy-headers.ts";
import { MAX_TLVS } from "./format.ts";
import { formatProxyHeader, MAX_PROXY_HEADER_BYTES, ProxyHeaderReader } from "./index.ts";

describe("a header of fixed bytes", () => {
  it.each([
    ["TCP over IPv4", hex(SIGNATURE, "21 11 000c", V4_ADDRESSES), V4],
    ["TCP over IPv6", hex(SIGNATURE, "21 21 0024", V6_ADDRESSES), V6],
    ["nothing that is known", hex(SIGNATURE, "21 00 0000"), { kind: "unspec" } as const],
    ["the sender's own", hex(SIGNATURE, "20 00 0000"), { kind: "local" } as const],
  ])("of %s is written and read", (_what, bytes, said) => {
    expect(formatProxyHeader(said).toString("hex")).toBe(bytes.toString("hex"));
    expect(read(bytes)).toEqual(whole(said));
  });

  it.each([
    ["of the sender's own connection, whatever its family and content", header("20", "11", V4_ADDRESSES), "local"],
    ["of the sender's own connection, of a family that is not defined", header("20", "ff", "0102"), "local"],
    ["of an unspecified family with content", header("21", "00", "010203"), "unspec"],
  ])("%s is read", (_what, bytes, kind) => {
    expect(read(bytes)).toMatchObject({ state: "header", header: { kind } });
  });

  it("may have TLVs, which are passed over", () => {
    const tlvs = ["01 0002 6832", "02 0009 612e6578616d706c65", "04 0003 000000", "20 0005 0000000000", "ea 0000"];
    expect(read(header("21", "11", V4_ADDRESSES + tlvs.join("")))).toEqual(whole(V4));
  });

  it.each([
    ["another version", header("11", "11", V4_ADDRESSES), "command"],
    ["another command", header("22", "11", V4_ADDRESSES), "command"],
    ["UDP", header("21", "12", V4_ADDRESSES), "family"],
    ["a Unix socket", header("21", "31", Buffer.alloc(216)), "family"],
    ["a family that is not defined", header("21", "41", V4_ADDRESSES), "family"],
    ["IPv4 that is cut", header("21", "11", V4_ADDRESSES.slice(0, -2)), "malformed"],
    ["IPv6 that is cut", header("21", "21", V4_ADDRESSES), "malformed"],
    ["no addresses", header("21", "11", ""), "malformed"],
    ["a TLV without its length", header("21", "11", `${V4_ADDRESSES} 01 00`), "malformed"],
    ["a TLV that is cut", header("21", "11", `${V4_ADDRESSES} 01 0003 6161`), "malformed"],
    ["a checksum of three bytes", header("21", "11", `${V4_ADDRESSES} 03 0003 000000`), "malformed"],
    ["two checksums", header("21", "11", `${V4_ADDRESSES} 03 0004 00000000 03 0004 00000000`), "malformed"],
    ["a wrong checksum", header("21", "11", `${V4_ADDRESSES} 03 0004 00000000`), "checksum"],
    ["more bytes than may be", header("21", "11", Buffer.alloc(MAX_PROXY_HEADER_BYTES - 15)), "too-long"],
    ["more bytes of its own than may be", hex(SIGNATURE, "20 00 ffff"), "too-long"],
  ])("of %s is refused", (_what, bytes, reason) => {
    expect(read(bytes)).toEqual({ state: "refused", reason });
  });

  it("has as many TLVs and bytes as it may have", () => {
    const withTlvs = (count: number) => header("21", "11", V4_ADDRESSES + "ea0000".repeat(count));
    expect(read(withTlvs(MAX_TLVS))).toEqual(whole(V4));
    expect(read(withTlvs(MAX_TLVS + 1))).toEqual({ state: "refused", reason: "too-many-tlvs" });
    const value = Buffer.alloc(MAX_PROXY_HEADER_BYTES - 16 - 12 - 3);
    const length = Buffer.from([0xea, value.length >> 8, value.length & 0xff]);
    const largest = header("21", "11", Buffer.concat([hex(V4_ADDRESSES), length, value]));
    expect(largest).toHaveLength(MAX_PROXY_HEADER_BYTES);
    expect(read(largest)).toEqual(whole(V4));
  });
});

// Its lines `send-proxy-v2`, with `proxy-v2-options crc32c`, with `crc32c,unique-id`, and `check-send-proxy`.
describe("a header of HAProxy 2.6.12", () => {
  it.each([
    ["IPv4", "2111 000c 7f000001 7f000001 82ac 831d", tcp("127.0.0.1", 33_452, "127.0.0.1", 33_565)],
    [
      "IPv6 with a checksum",
      `2121 002b ${"0".repeat(31)}1 ${"0".repeat(31)}1 a0d6 a4dd 03 0004 cbde2d5a`,
      tcp("::1", 41_174, "::1", 42_205),
    ],
    [
      "a checksum and an id of the connection",
      "2111 001d 7f000001 7f000001 d8fa 90d7 03 0004 5fb145d6 05 0007 31393131302d32",
      tcp("127.0.0.1", 55_546, "127.0.0.1", 37_079),
    ],
    ["its own check of health", "2000 0007 03 0004 a9b87e8f", { kind: "local" } as const],
  ])("of %s is read", (_what, bytes, said) => {
    const rest = Buffer.from("hello");
    expect(read(Buffer.concat([hex(SIGNATURE, bytes), rest]))).toEqual(whole(said, rest));
  });
});

describe("what is no header", () => {
  it.each(["PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", "PROXY UNKNOWN\r\n"])("but one of version 1 is told: %j", (text) => {
    const bytes = Buffer.from(text);
    expect(read(bytes)).toEqual({ state: "refused", reason: "version-1" });
    for (let end = 0; end < 6; end += 1) expect(read(bytes.subarray(0, end))).toEqual({ state: "need-more" });
  });

  it.each(["GET / HTTP/1.1", "\x16\x03\x01", "PROXx", "P\r\n", "\r\n\r\n\0\r\nQUIT\r", "\r\n\r\nGET /"])(
    "is refused by its first wrong byte: %j",
    (text) => {
      expect(read(Buffer.from(text, "latin1"))).toEqual({ state: "refused", reason: "no-header" });
    },
  );

  it("stays refused", () => {
    const reader = new ProxyHeaderReader();
    reader.push(Buffer.from("G"));
    expect(reader.push(formatProxyHeader(V4))).toEqual({ state: "refused", reason: "no-header" });
  });
});

describe("pieces", () => {
  it.each([V4, V6, { kind: "local" } as const, { kind: "unspec" } as const])("of a header may be any (%#)", (said) => {
    const bytes = formatProxyHeader(said, { checksum: true });
    const rest = Buffer.from("\x16\x03\x01 and more");
    const all = Buffer.concat([bytes, rest]);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      expect(read(all.subarray(0, cut)), `${cut} bytes`).toEqual({ state: "need-more" });
      expect(read(all.subarray(0, cut), all.subarray(cut)), `cut at ${cut}`).toEqual(whole(said, rest));
    }
    expect(read(...Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(whole(said));
  });

  it("behind a whole header are not taken", () => {
    const reader = new ProxyHeaderReader();
    reader.push(formatProxyHeader(V4));
    expect(() => reader.push(Buffer.from("x"))).toThrow(TypeError);
  });
});

describe("an address", () => {
  it.each([
    ["::ffff:10.0.0.1", "10.0.0.1", "::ffff:a00:2", "10.0.0.2", 0x11],
    ["::1", "::1", "127.0.0.1", "127.0.0.1", 0x21],
    ["FE80::A%eth0", "fe80::a", "::", "::", 0x21],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", "64:ff9b::1.2.3.4", "64:ff9b::102:304", 0x21],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", 0x21],
  ])("%s is read as %s, %s as %s", (source, readSource, destination, readDestination, family) => {
    const bytes = formatProxyHeader(tcp(source, 1, destination, 2));
    expect(bytes[13]).toBe(family);
    expect(read(bytes)).toEqual(whole(tcp(readSource, 1, readDestination, 2)));
  });

  it("of IPv4 inside IPv6 is read as what it is, lest it pass for another", () => {
    const bytes = header("21", "21", "00000000000000000000ffff0a000001 00000000000000000000ffff0a000002 0001 0002");
    expect(read(bytes)).toEqual(whole(tcp("10.0.0.1", 1, "10.0.0.2", 2)));
  });

  it.each(["", "localhost", "1.2.3", "01.2.3.4", "1::2::3", "[::1]"])("is not %j", (address) => {
    expect(() => formatProxyHeader(tcp(address, 1, "::1", 2))).toThrow(/^source\.address is no IP address$/);
    expect(() => formatProxyHeader(tcp("::1", 1, address, 2))).toThrow(/^destination\.address is no IP address$/);
  });

  it.each([-1, 65_536, 1.5, Number.NaN])("has no port %d", (port) => {
    expect(() => formatProxyHeader(tcp("::1", port, "::1", 2))).toThrow(/^source\.port/);
  });
});
