// Netlink messages, byte by byte: as the kernel's headers have them.

import { describe, expect, it } from "vitest";
import {
  ACKNOWLEDGE,
  attribute,
  listAttributes,
  message,
  nested,
  readAnswer,
  readAttributes,
  text,
  u16,
  u32,
} from "./messages.ts";
import { addBoxes, addElements, addRanges, batch, deleteElements, newChain, newSet } from "./nft-messages.ts";

const hex = (bytes: Buffer): string => bytes.toString("hex").replaceAll(/(.{8})(?=.)/g, "$1 ");

describe("an attribute", () => {
  it("is padded, and its length does not count the padding", () => {
    expect(hex(text(1, "ab"))).toBe("07000100 61620000");
    expect(hex(u32(3, 258))).toBe("08000300 00000102");
    expect(hex(u32(3, -4))).toBe("08000300 fffffffc");
    expect(hex(u16(3, 258))).toBe("06000300 01020000");
    expect(hex(nested(2, [u16(1, 1)]))).toBe("0c000280 06000100 00010000");
    expect(() => attribute(1, Buffer.alloc(65_532))).toThrow(RangeError);
  });

  it("comes back as it was", () => {
    const bytes = Buffer.concat([text(1, "ab"), nested(2, [u32(1, 7)]), text(1, "c")]);
    expect(listAttributes(bytes).map(({ type, payload }) => [type, payload.length])).toEqual([
      [1, 3],
      [2, 8],
      [1, 2],
    ]);
    expect(readAttributes(bytes).get(1)?.toString()).toBe("c\0");
    for (const cut of [1, 3, bytes.length - 4])
      expect(() => listAttributes(bytes.subarray(0, cut))).toThrow(RangeError);
    expect(() => listAttributes(Buffer.from([3, 0, 1, 0]))).toThrow(RangeError);
  });
});

describe("a message", () => {
  it("has two heads, and its attributes", () => {
    const bytes = message({
      type: 0x0a0c,
      flags: ACKNOWLEDGE,
      family: 1,
      resource: 10,
      sequence: 9,
      attributes: [u32(1, 1)],
    });
    expect(hex(bytes)).toBe("1c000000 0c0a0500 09000000 00000000 0100000a 08000100 00000001");
  });

  it("is answered with acknowledgements, refusals with their reasons, and replies", () => {
    const answer = (type: number, flags: number, sequence: number, body: Buffer): Buffer => {
      const head = Buffer.alloc(16);
      head.writeUInt32LE(16 + body.length, 0);
      head.writeUInt16LE(type, 4);
      head.writeUInt16LE(flags, 6);
      head.writeUInt32LE(sequence, 8);
      return Buffer.concat([head, body, Buffer.alloc(-body.length & 3)]);
    };
    const error = (errno: number, more: Buffer = Buffer.alloc(0)): Buffer => {
      const number = Buffer.alloc(4);
      number.writeInt32LE(-errno);
      return Buffer.concat([number, Buffer.alloc(16), more]);
    };
    const bytes = Buffer.concat([
      answer(2, 0x100, 1, error(0)),
      answer(2, 0x300, 2, error(17, text(1, "it is there"))),
      answer(2, 0x100, 3, error(2)),
      answer(0x0a0f, 0, 4, Buffer.concat([Buffer.from([0, 0, 0, 10]), u32(1, 5)])),
      answer(3, 2, 4, Buffer.alloc(4)),
    ]);
    const { acknowledged, refusals, replies } = readAnswer(bytes);
    expect([...acknowledged]).toEqual([1, 4]);
    expect(refusals).toEqual([
      { sequence: 2, errno: 17, explanation: "it is there" },
      { sequence: 3, errno: 2, explanation: undefined },
    ]);
    expect(replies).toEqual([{ sequence: 4, type: 0x0a0f, payload: u32(1, 5) }]);
    for (const cut of [10, 30, bytes.length - 8]) expect(() => readAnswer(bytes.subarray(0, cut))).toThrow(RangeError);
  });
});

describe("messages of nf_tables", () => {
  const name = { table: "t", set: "s" };
  const key = (last: number): Buffer => Buffer.from([198, 51, 100, last]);

  it("become a batch whose parts are numbered and acknowledged, guarded by a generation", () => {
    const bytes = batch([newChain("t", "a"), newChain("t", "b")], 77);
    const flags: number[][] = [];
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at)) {
      flags.push([bytes.readUInt16LE(at + 4), bytes.readUInt16LE(at + 6), bytes.readUInt32LE(at + 8)]);
    }
    expect(flags).toEqual([
      [0x10, 0x001, 0],
      [0x0a03, 0x405, 1],
      [0x0a03, 0x405, 2],
      [0x11, 0x001, 3],
    ]);
    expect(hex(bytes.subarray(20, 28))).toBe("08000100 0000004d");
  });

  it("put ranges as where they begin and have ended, the last address of all without an end", () => {
    const [part] = addRanges(name, [
      { first: key(0), last: key(255) },
      { first: Buffer.from([255, 255, 255, 0]), last: Buffer.from([255, 255, 255, 255]) },
    ]);
    const text = hex(Buffer.concat([...(part?.attributes ?? [])]));
    expect(text).toContain("c6336400");
    expect(text).toContain("c6336500");
    expect(text.match(/08000300 00000001/g)).toHaveLength(1);
  });

  it("declare concatenated sets by fields, each in registers of its own", () => {
    const plain = newSet({ ...name, keyType: 7, fields: [4], id: 1 });
    expect(hex(Buffer.concat([...plain.attributes]))).toContain("08000300 00000004");
    const boxes = newSet({ ...name, keyType: 7, fields: [4, 1, 2], id: 1 });
    const text = hex(Buffer.concat([...boxes.attributes]));
    expect(text).toContain("08000300 00000084");
    expect(text).toContain("08000500 0000000c");
  });

  it("are cut where a list would grow too long", () => {
    const many = Array.from({ length: 1_025 }, (_, at) => ({ first: key(at % 256), last: key(at % 256) }));
    expect(addBoxes(name, many)).toHaveLength(3);
    expect(addRanges(name, many)).toHaveLength(5);
    expect(addElements(name, [])).toEqual([]);
    expect(deleteElements(name, [key(1)])).toHaveLength(1);
  });
});
