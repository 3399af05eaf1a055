import { describe, expect, it } from "vitest";
import { exit, output, outputEnd, pong, processRecord, started, welcome } from "../../test/fake-init.ts";
import { InitProtocolError } from "./errors.ts";
import { encodeFrame, FROM_INIT, FrameReader, SIZES_FROM_INIT } from "./frames.ts";
import type { InitMessage } from "./messages.ts";
import { decodeMessage } from "./messages.ts";

/** Numbers that look random and are the same in each run (xorshift32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const CONVERSATION = [
  welcome(1),
  processRecord("entrypoint", 7, { start: 2 ** 33, end: 2 ** 33 + 5 }),
  started("exec_1-A", 8),
  output(8, 2 ** 40, Buffer.alloc(32 * 1024, 0x5a)),
  output(8, 2 ** 40 + 32_768, Buffer.from("x"), 2),
  outputEnd(8, 2 ** 40 + 32_769, 2),
  exit(8, 9, 1),
  pong(1),
];

function readAll(pieces: Iterable<Buffer>): InitMessage[] {
  const reader = new FrameReader();
  const messages: InitMessage[] = [];
  for (const piece of pieces) {
    reader.push(piece, (type, payload) => messages.push(decodeMessage(type, Buffer.from(payload))));
  }
  return messages;
}

describe("FrameReader", () => {
  const whole = Buffer.concat(CONVERSATION);
  const expected = readAll([whole]);

  it("reads every message", () => {
    expect(expected.map(({ type }) => type)).toEqual([
      "welcome",
      "process",
      "started",
      "output",
      "output",
      "outputEnd",
      "exit",
      "pong",
    ]);
    expect(expected[1]).toMatchObject({
      handle: 7,
      execId: "entrypoint",
      stdout: { start: 2 ** 33, end: 2 ** 33 + 5 },
    });
    expect(expected[6]).toEqual({ type: "exit", handle: 8, status: { kind: "signalled", value: 9 } });
  });

  it("does not mind how the bytes are cut", () => {
    expect(readAll(Array.from(whole, (byte) => Buffer.of(byte)))).toEqual(expected);
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = seeded(seed);
      const pieces: Buffer[] = [];
      for (let at = 0; at < whole.length; ) {
        const length = 1 + random(seed % 2 === 0 ? 20 : 40_000);
        pieces.push(whole.subarray(at, at + length));
        at += length;
      }
      expect(readAll(pieces)).toEqual(expected);
    }
  });

  it("meets random and mutilated bytes with messages or InitProtocolError, nothing else", () => {
    let refused = 0;
    for (let seed = 1; seed <= 3_000; seed += 1) {
      const random = seeded(seed);
      const bytes = Buffer.from(whole.subarray(0, 400));
      for (let change = 0; change <= seed % 5; change += 1) bytes[random(bytes.length)] = random(256);
      try {
        readAll([bytes]);
      } catch (error) {
        expect(error).toBeInstanceOf(InitProtocolError);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(1_000);
  });

  it("refuses a length as soon as it is told, without memory for it", () => {
    const reader = new FrameReader();
    const header = Buffer.from([0x7f, 0xff, 0xff, 0xff, FROM_INIT.output]);
    expect(() => reader.push(header, () => {})).toThrow(InitProtocolError);
    for (const [type, [min, max]] of SIZES_FROM_INIT) {
      for (const length of [min - 1, max + 1]) {
        const frame = encodeFrame(type, [Buffer.alloc(length)]);
        expect(() => new FrameReader().push(frame.subarray(0, 5), () => {})).toThrow(InitProtocolError);
      }
    }
  });
});

describe("decodeMessage", () => {
  it.each([
    ["an output 3", FROM_INIT.outputEnd, Buffer.from([0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0])],
    ["an offset beyond 2^53", FROM_INIT.outputEnd, Buffer.from([0, 0, 0, 1, 1, 0, 0x20, 0, 0, 0, 0, 0, 0])],
    ["an exec id out of shape", FROM_INIT.started, Buffer.from([1, 0x2f, 0, 0, 0, 1, 0, 0, 0, 1])],
    ["bytes after its last field", FROM_INIT.started, Buffer.from([1, 0x61, 0, 0, 0, 1, 0, 0, 0, 1, 0])],
    ["ends within a field", FROM_INIT.started, Buffer.from([9, 0x61])],
    ["protocol version 2", FROM_INIT.welcome, Buffer.from([2, 0, 4, 0, 0, 2, 0, 0, 0])],
    ["unknown stage", FROM_INIT.startFailed, Buffer.from([1, 0x61, 9, 0, 0, 0, 2])],
  ])("refuses %s", (problem, type, payload) => {
    expect(() => decodeMessage(type, payload)).toThrow(problem);
  });
});
