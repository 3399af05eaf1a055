// Headers round and round, changed anywhere, and made up.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { header, read, tcp, V4, V6, V6_ADDRESSES, whole } from "../../test/proxy-headers.ts";
import { crc32c } from "./crc32c.ts";
import { formatProxyHeader, ProxyHeaderReader } from "./index.ts";

describe("a checksum", () => {
  it("is the one of Castagnoli", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283); // the check value of its catalogues
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa); // RFC 3720, appendix B.4
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  });

  it("finds every byte that is changed", () => {
    const bytes = formatProxyHeader(V6, { checksum: true });
    expect(read(bytes)).toEqual(whole(V6));
    const addressesEnd = 16 + 36;
    for (let at = 16; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (bytes[at] ?? 0) ^ 0x10;
      // Within the TLV's own head the change makes it another one.
      const isHead = at >= addressesEnd && at < addressesEnd + 3;
      if (!isHead) expect(read(changed), `byte ${at}`).toEqual({ state: "refused", reason: "checksum" });
    }
  });
});

describe("properties", () => {
  const ipv4 = fc.ipV4();
  const ipv6 = fc.ipV6();
  const port = fc.nat(65_535);

  it("what is written is read, and written again the same", () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), port, fc.oneof(ipv4, ipv6), port, fc.boolean(), (a, x, b, y, checksum) => {
        const bytes = formatProxyHeader(tcp(a, x, b, y), { checksum });
        const result = read(bytes);
        if (result.state !== "header" || result.header.kind !== "tcp") throw new Error("it is not read");
        expect([result.header.source.port, result.header.destination.port]).toEqual([x, y]);
        expect(formatProxyHeader(result.header, { checksum })).toEqual(bytes);
      }),
    );
  });

  it("never throws with any bytes changed, and is judged the same in pieces", () => {
    const start = fc.constantFrom(
      formatProxyHeader(V4, { checksum: true }),
      header("21", "21", `${V6_ADDRESSES} ea0001ff`),
    );
    const change = fc.tuple(fc.nat(80), fc.nat(255));
    fc.assert(
      fc.property(start, fc.array(change, { maxLength: 4 }), fc.nat(80), (bytes, changes, cut) => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
        const first = new ProxyHeaderReader().push(changed.subarray(0, cut));
        if (first.state === "header") return; // what follows it is not for the reader
        expect(read(changed.subarray(0, cut), changed.subarray(cut))).toEqual(read(changed));
      }),
      { numRuns: 2_000 },
    );
  });

  it("never throws, whatever comes", () => {
    const command = fc.constantFrom("20", "21", "22");
    const family = fc.constantFrom("00", "11", "21", "12");
    fc.assert(
      fc.property(command, family, fc.uint8Array({ maxLength: 300 }), (a, b, content) => {
        expect(["header", "refused"]).toContain(read(header(a, b, Buffer.from(content))).state);
      }),
      { numRuns: 2_000 },
    );
  });
});
