// Messages about connections, byte by byte: as the kernel's headers have them.

import { describe, expect, it } from "vitest";
import { deleteConnection, deleteConnections, listConnections, onward } from "./connection-messages.ts";
import { attribute, nested, u8, u16, u32 } from "./messages.ts";

const hex = (bytes: Buffer | undefined): string => (bytes?.toString("hex") ?? "").replaceAll(/(.{8})(?=.)/g, "$1 ");

const SLOT = Buffer.from([100, 64, 0, 2]);
const UPLINK = Buffer.from([169, 254, 64, 2]);
const FAR = Buffer.from([198, 51, 100, 10]);
const UPLINK6 = Buffer.from("fd000000000000000000000000000002", "hex");
const FAR6 = Buffer.from("20010db8000000000000000000000010", "hex");

const original = nested(1, [nested(1, [attribute(1, SLOT), attribute(2, FAR)]), nested(2, [u8(1, 6)])]);
const reply = (protocol: readonly Buffer[], from = FAR, to = UPLINK): Buffer => {
  const first = from.length === 4 ? 1 : 3;
  const addresses = [attribute(first, from), attribute(first + 1, to)];
  return Buffer.concat([original, nested(2, [nested(1, addresses), nested(2, protocol)]), u32(8, 7)]);
};

describe("a list", () => {
  it("is asked for by mark and mask, of both families", () => {
    expect(hex(listConnections({ mark: 7, mask: 0x7fff_ffff }))).toBe(
      "24000000 01010103 01000000 00000000 00000000 08000800 00000007 08001500 7fffffff",
    );
    expect(hex(deleteConnections({ mark: 7, mask: 0x7fff_ffff }))).toBe(
      "24000000 02010100 01000000 00000000 00000000 08000800 00000007 08001500 7fffffff",
    );
  });
});

describe("what goes on", () => {
  it("is the answers turned round", () => {
    const found = onward(reply([u8(1, 6), u16(2, 443), u16(3, 40_000)]));
    expect(found).toMatchObject({ family: 2, source: UPLINK });
    const tuple =
      "34000180 14000180 08000100 a9fe4002 08000200 c633640a " +
      "1c000280 05000100 06000000 06000200 9c400000 06000300 01bb0000";
    expect(hex(found?.tuple)).toBe(tuple);
    expect(hex(found && deleteConnection(found, 3))).toBe(`48000000 02010100 03000000 00000000 02000000 ${tuple}`);
  });

  it("asks where the answer is an echo's, in both families", () => {
    const found = onward(reply([u8(1, 1), u16(4, 9), u8(5, 0), u8(6, 0)]));
    expect(hex(found?.tuple)).toContain("05000100 01000000 06000400 00090000 05000600 00000000 05000500 08000000");
    const found6 = onward(reply([u8(1, 58), u16(7, 9), u8(8, 129), u8(9, 0)], FAR6, UPLINK6));
    expect(found6).toMatchObject({ family: 10, source: UPLINK6 });
    expect(hex(found6?.tuple)).toContain("06000700 00090000 05000900 00000000 05000800 80000000");
  });

  it("is nothing where nothing is said of answers", () => {
    expect(onward(original)).toBeUndefined();
    expect(onward(Buffer.concat([original, nested(2, [])]))).toBeUndefined();
    expect(() => onward(Buffer.from([3, 0, 1, 0]))).toThrow(RangeError);
  });
});
