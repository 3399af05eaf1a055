// HPACK by the examples of its RFC, by a peer that says everything in every way, and by bytes that are nothing.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Manner } from "../../../test/hpack-encoder.ts";
import { huffman, integer, PeerEncoder, string } from "../../../test/hpack-encoder.ts";
import { EXAMPLES } from "../../../test/hpack-examples.ts";
import { Http2Error } from "../errors.ts";
import { HpackDecoder } from "./decoder.ts";
import { encodeHeaders } from "./encoder.ts";
import type { HeaderField } from "./field.ts";
import { fieldBytes } from "./field.ts";
import { END_OF_STRING, HUFFMAN_CODES } from "./huffman-codes.ts";

const LIMITS = { maxTableBytes: 4_096, maxListBytes: 65_536 };
const decode = (block: Uint8Array, limits = LIMITS) => new HpackDecoder(limits).decode(Buffer.from(block));
const pairs = (fields: readonly HeaderField[]) => fields.map(({ name, value }) => [name, value]);
const field = (name: string, value: string, sensitive = false): HeaderField => ({ name, value, sensitive });
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("RFC 7541, appendix C", () => {
  it.each([
    ["C.1.1", 10, "2a"],
    ["C.1.2", 1_337, "3f9a0a"],
  ])("%s: an integer behind five bits", (_section, value, bytes) => {
    expect(encodeHeaders([], value)).toEqual(hex(bytes));
    expect(decode(hex(bytes), { ...LIMITS, maxTableBytes: value }).fields).toEqual([]);
    expect(() => decode(hex(bytes), { ...LIMITS, maxTableBytes: value - 1 })).toThrow("larger than it may be");
  });

  it("C.1.3: an integer that fits into its byte", () => {
    const text = "x".repeat(42);
    const block = encodeHeaders([field(text, "")]);
    expect(block.subarray(0, 2)).toEqual(Buffer.from([0, 0x2a]));
    expect(pairs(decode(block).fields)).toEqual([[text, ""]]);
  });

  for (const { blocks, maxTableBytes } of EXAMPLES) {
    it(blocks.map(({ section }) => section).join(", "), () => {
      const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes });
      for (const { block, fields, table } of blocks) {
        expect(pairs(decoder.decode(hex(block)).fields)).toEqual(fields);
        expect(pairs(decoder.entries)).toEqual(table);
        expect(decoder.tableBytes).toBe(decoder.entries.reduce((sum, entry) => sum + fieldBytes(entry), 0));
      }
    });
  }

  it("C.2.2, C.2.3, C.2.4 encoded", () => {
    expect(encodeHeaders([field(":path", "/sample/path")])).toEqual(hex("040c 2f73 616d 706c 652f 7061 7468"));
    expect(encodeHeaders([field("password", "secret", true)])).toEqual(
      hex("1008 7061 7373 776f 7264 0673 6563 7265 74"),
    );
    expect(encodeHeaders([field(":method", "GET")])).toEqual(hex("82"));
  });

  it("C.2.3: what is never to be indexed stays that", () => {
    const { fields } = decode(hex("1008 7061 7373 776f 7264 0673 6563 7265 74"));
    expect(fields).toEqual([field("password", "secret", true)]);
    expect(encodeHeaders(fields)).toEqual(hex("1008 7061 7373 776f 7264 0673 6563 7265 74"));
    expect(encodeHeaders([field(":method", "GET", true)])).toEqual(hex("1203 474554"));
  });
});

it.each([
  ["0", 0x0, 5],
  ["|", 0x7fc, 11],
  ["\\", 0x7fff0, 19],
  ["\xff", 0x3ffffee, 26],
  ["\n", 0x3ffffffc, 30],
])("the code of %j is the one of appendix B", (symbol, code, bits) => {
  expect(HUFFMAN_CODES[symbol.charCodeAt(0)]).toEqual({ code, bits });
  expect(HUFFMAN_CODES[END_OF_STRING]).toEqual({ code: 0x3fffffff, bits: 30 });
});

describe("a block that is none", () => {
  it.each([
    ["an index of 0", "80"],
    ["an index behind the tables", "be"],
    ["a name's index behind the tables", "7f 00 00"],
    ["an integer that is cut off", "ff 80"],
    ["an integer without end", "ff 80 80 80 80 80 00"],
    ["an integer that is too large", "ff ff ff ff ff 7f"],
    ["a name that is cut off", "00 05 61"],
    ["a value that is missing", "04"],
    ["a value that is cut off", "04 02 61"],
    ["a table size amid it", "82 20"],
    ["a table size that is too large", "3f e2 1f"],
    ["eight bits of padding", "00 82 07 ff 00"],
    ["a whole byte of padding", "00 81 ff 00"],
    ["padding that is not of ones", "00 81 00 00"],
    ["the end of a string written out", "00 84 ff ff ff ff 00"],
    ["the end of a string amid others", "00 85 1f ff ff ff fc 00"],
  ])("has %s", (_what, bytes) => {
    expect(() => decode(hex(bytes))).toThrow(
      expect.objectContaining({ name: "Http2Error", code: "COMPRESSION_ERROR" }),
    );
  });

  it("is never more than a coded error", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), (blocks) => {
        const decoder = new HpackDecoder(LIMITS);
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block));
        } catch (error) {
          expect(error).toBeInstanceOf(Http2Error);
          expect(error).toHaveProperty("code", "COMPRESSION_ERROR");
        }
        expect(decoder.tableBytes).toBeLessThanOrEqual(LIMITS.maxTableBytes);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe("bounds", () => {
  it("takes table sizes at a block's beginning, several ones too", () => {
    const decoder = new HpackDecoder(LIMITS);
    decoder.decode(hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"));
    expect(decoder.tableBytes).toBe(55);
    decoder.decode(hex("20 3fe11f"));
    expect(decoder.tableBytes).toBe(0);
    expect(() => decoder.decode(hex("be"))).toThrow("an index is of no entry");
  });

  it("empties its table for an entry that has no room in it", () => {
    const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 64 });
    decoder.decode(Buffer.concat([hex("40"), string("a", false), string("b", false)]));
    expect(decoder.tableBytes).toBe(34);
    decoder.decode(Buffer.concat([hex("40"), string("a", false), string("b".repeat(64), true)]));
    expect(decoder.entries).toEqual([]);
  });

  it("gives the beginning of a list that is too long, and follows the table to its end", () => {
    const decoder = new HpackDecoder({ ...LIMITS, maxListBytes: 100 });
    const entry = Buffer.concat([hex("40"), string("name", false), string("value", false)]);
    const { fields, isTooLong } = decoder.decode(Buffer.concat([entry, hex("be be be be")]));
    expect([fields.length, isTooLong]).toEqual([2, true]);
    const last = Buffer.concat([entry, hex("be be be be 40"), string("last", true), string("one", true)]);
    expect(decoder.decode(last).isTooLong).toBe(true);
    expect(pairs(decoder.decode(hex("be")).fields)).toEqual([["last", "one"]]);
  });

  it("takes a list that says the table over and over for one that is too long", () => {
    const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 4_096, maxListBytes: 65_536 });
    const entry = Buffer.concat([hex("40"), string("n", false), string("v".repeat(4_000), false)]); // 4,033 bytes
    expect(decoder.decode(Buffer.concat([entry, hex("be be")]))).toMatchObject({ isTooLong: false, bytes: 3 * 4_033 });
    const { fields, isTooLong } = decoder.decode(hex("82 be be be 84"));
    expect([pairs(fields)[0], fields.length, isTooLong]).toEqual([[":method", "GET"], 3, true]);
    // By its name alone, too.
    const named = Buffer.concat([hex("40"), string("n".repeat(4_000), false), string("v", false)]);
    expect(decoder.decode(named).isTooLong).toBe(false);
    expect(decoder.decode(hex("0f2f 00 0f2f 00")).isTooLong).toBe(false);
    expect(decoder.decode(hex("0f2f 00 0f2f 00 0f2f 00")).isTooLong).toBe(true);
  });

  it("takes strings longer than its first room", () => {
    const text = "0a".repeat(20_000);
    const block = Buffer.concat([hex("00"), string("n", false), integer(0x80, 7, huffman(text).length), huffman(text)]);
    expect(decode(block).fields[0]?.value === text).toBe(true);
  });
});

const NAMES = ["a", "cookie", ":path", ":status", "content-type", "x-long-name-of-a-field"];
const anyField = fc.record({
  name: fc.oneof(
    fc.constantFrom(...NAMES),
    fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 20 }),
  ),
  value: fc.oneof(
    fc.constantFrom("", "/", "200", "b"),
    fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 300 }),
  ),
  sensitive: fc.boolean(),
});
const anyManner: fc.Arbitrary<Manner> = fc.record({ huffman: fc.boolean(), index: fc.boolean(), refer: fc.boolean() });

describe("there and back", () => {
  it("holds for every way to say a field, with tables of every size", () => {
    const said = fc.array(fc.tuple(anyField, anyManner), { maxLength: 12 });
    const blocks = fc.array(fc.tuple(fc.option(fc.integer({ min: 0, max: 400 })), said), { maxLength: 12 });
    fc.assert(
      fc.property(blocks, (list) => {
        const encoder = new PeerEncoder(400);
        const decoder = new HpackDecoder({ maxTableBytes: 400, maxListBytes: 1_000_000 });
        for (const [size, fields] of list) {
          const resized = size === null ? [] : [encoder.resize(size)];
          const block = Buffer.concat([...resized, ...fields.map(([one, manner]) => encoder.encode(one, manner))]);
          expect(decoder.decode(block).fields).toEqual(fields.map(([one]) => one));
          expect(decoder.entries).toEqual(encoder.table);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("holds for our own encoder, without a table", () => {
    fc.assert(
      fc.property(fc.array(anyField, { maxLength: 30 }), (fields) => {
        const decoder = new HpackDecoder({ maxTableBytes: 0, maxListBytes: 1_000_000 });
        expect(decoder.decode(encodeHeaders(fields, 0)).fields).toEqual(fields);
        expect(decoder.decode(encodeHeaders(fields)).fields).toEqual(fields);
      }),
    );
  });
});
