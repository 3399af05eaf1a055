// Blocks as text mean what they were made of, whoever decodes them.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HpackDecoder } from "./decoder.ts";
import { NO_TABLE_TEXT, nameText, statusText, valueText } from "./literals.ts";

const decoder = () => new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 1_000_000 });
const decode = (text: string, by = decoder()) =>
  by.decode(Buffer.from(text, "latin1")).fields.map(({ name, value }) => [name, value]);

describe("a block as text", () => {
  it("brings every status", () => {
    for (let status = 100; status < 600; status += 1) {
      expect(decode(statusText(status))).toEqual([[":status", String(status)]]);
    }
    expect(statusText(200)).toBe("\x88");
  });

  it("brings any field, and leaves no trace in a table", () => {
    const name = fc.oneof(
      fc.constantFrom("date", "set-cookie", "www-authenticate"),
      fc.stringMatching(/^[a-z-]{1,300}$/),
    );
    const value = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 700 });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 5 }), (fields) => {
        const by = decoder();
        const pairs = fields.map(([each, codes]) => [each, String.fromCharCode(...codes)] as const);
        expect(decode(pairs.map(([each, text]) => nameText(each) + valueText(text)).join(""), by)).toEqual(pairs);
        expect(by.entries).toEqual([]);
      }),
    );
  });

  it("is as long as its strings say, wherever a length needs another octet", () => {
    for (const length of [0, 1, 126, 127, 128, 254, 255, 256, 16_383, 16_510, 16_511, 70_000]) {
      expect(decode(nameText("x") + valueText("v".repeat(length)))).toEqual([["x", "v".repeat(length)]]);
    }
  });

  it("says that no table is used", () => {
    const by = decoder();
    by.decode(Buffer.from("400178017a", "hex"));
    expect(by.entries).toHaveLength(1);
    expect(decode(NO_TABLE_TEXT + statusText(204), by)).toEqual([[":status", "204"]]);
    expect(by.entries).toEqual([]);
  });
});
