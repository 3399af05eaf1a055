// Frames by their bytes: however they are cut, by the rules of their types, and by bytes that are nothing.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Http2Error } from "./errors.ts";
import { FrameReader } from "./frame-reader.ts";
import {
  goawayFrame,
  headersFrames,
  newFrame,
  pingFrame,
  rstStreamFrame,
  settingsFrame,
  windowUpdateFrame,
} from "./frame-writer.ts";
import { dataBytes } from "./payload.ts";
import { readSettings } from "./settings.ts";
import { DEFAULT_MAX_FRAME_BYTES, FLAG, FRAME, FRAME_HEAD_BYTES, SETTING } from "./wire.ts";

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly frame: Buffer;
}

function read(pieces: readonly Buffer[], maxFrameBytes = DEFAULT_MAX_FRAME_BYTES): Seen[] {
  const seen: Seen[] = [];
  const onFrame = (type: number, flags: number, streamId: number, frame: Buffer) => {
    // As it is when it is told: a later piece must not change it either.
    seen.push({ type, flags, streamId, frame });
  };
  const reader = new FrameReader({ onFrame }, maxFrameBytes);
  for (const piece of pieces) reader.push(piece);
  return seen;
}

function raw(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const frame = newFrame(type, flags, streamId, payload.length);
  frame.set(payload, FRAME_HEAD_BYTES);
  return frame;
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

const anyFrame = fc
  .record({
    type: fc.constantFrom(FRAME.data, FRAME.headers, FRAME.continuation, 0xb, 0x20, 0xff),
    flags: fc.integer({ min: 0, max: 255 }),
    streamId: fc.integer({ min: 1, max: 0x7fff_ffff }),
    payload: fc.uint8Array({ maxLength: 60 }),
  })
  .map(({ flags, payload, streamId, type }) => raw(type, flags, streamId, payload));

describe("the reader", () => {
  it("gives the same frames however the bytes are cut", () => {
    const frames = fc.array(anyFrame, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 20 }), (list, cuts) => {
        const seen = read(split(Buffer.concat(list), cuts));
        expect(seen.map(({ frame }) => frame)).toEqual(list);
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives a sink that is full no more of them, and goes on where it stopped", () => {
    const frames = fc.array(anyFrame, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 20 }), (list, cuts) => {
        const seen: Buffer[] = [];
        const sink = { isFull: false, onFrame: (...[, , , frame]: [number, number, number, Buffer]) => take(frame) };
        const take = (frame: Buffer) => {
          expect(sink.isFull).toBe(false);
          seen.push(frame);
          sink.isFull = true;
        };
        const reader = new FrameReader(sink, DEFAULT_MAX_FRAME_BYTES);
        for (const piece of split(Buffer.concat(list), cuts)) {
          for (let rest = piece; rest.length > 0; ) {
            sink.isFull = false;
            rest = reader.push(rest);
          }
        }
        expect(seen).toEqual(list);
      }),
      { numRuns: 1_000 },
    );
  });

  it("gives them byte by byte", () => {
    const list = [settingsFrame([[3, 100]]), raw(0, 1, 1, Buffer.from("hello")), pingFrame(Buffer.alloc(8, 1))];
    const bytes = Buffer.concat(list);
    const seen = read(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
    expect(seen.map(({ frame }) => frame)).toEqual(list);
    expect(seen.map(({ flags, streamId, type }) => [type, flags, streamId])).toEqual([
      [4, 0, 0],
      [0, 1, 1],
      [6, 0, 0],
    ]);
  });

  it("copies only a frame that two pieces share", () => {
    const piece = Buffer.concat([raw(0, 0, 1, Buffer.alloc(100)), raw(0, 0, 1, Buffer.alloc(200)), Buffer.alloc(3)]);
    for (const { frame } of read([piece])) expect(frame.buffer).toBe(piece.buffer);
  });

  it("keeps no more than the frame that is open", () => {
    const reader = new FrameReader({ onFrame: () => undefined }, DEFAULT_MAX_FRAME_BYTES);
    const frame = raw(0, 0, 1, Buffer.alloc(10_000));
    reader.push(Buffer.concat([frame, frame.subarray(0, 5)]));
    expect(reader.openBytes).toBe(5);
    reader.push(frame.subarray(5, 4_000));
    expect(reader.openBytes).toBe(4_000);
    reader.push(frame.subarray(4_000));
    expect(reader.openBytes).toBe(0);
  });

  it("ignores the reserved bit", () => {
    const frame = raw(0, 0, 5, Buffer.alloc(1));
    frame[5] = 0x80;
    expect(read([frame])[0]?.streamId).toBe(5);
  });

  it("never throws anything but coded errors, whatever the bytes and cuts", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(), { maxLength: 5 }), (bytes, cuts) => {
        const outcome = (pieces: readonly Buffer[]) => {
          try {
            return read(pieces).length;
          } catch (error) {
            expect(error).toBeInstanceOf(Http2Error);
            return (error as Http2Error).code;
          }
        };
        const whole = Buffer.from(bytes.map((byte, at) => (at % 9 < 2 ? byte & 1 : byte)));
        expect(outcome(split(whole, cuts))).toBe(outcome([whole]));
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("what a head says already", () => {
  const head = (type: number, flags: number, streamId: number, length: number) => {
    const frame = newFrame(type, flags, streamId, 0);
    frame.writeUIntBE(length, 0, 3);
    return frame;
  };
  it.each([
    ["a frame over the limit", head(FRAME.data, 0, 1, 16_385), "FRAME_SIZE_ERROR"],
    ["an unknown frame over the limit", head(0xee, 0, 1, 16_385), "FRAME_SIZE_ERROR"],
    ["DATA of no stream", head(FRAME.data, 0, 0, 1), "PROTOCOL_ERROR"],
    ["HEADERS of no stream", head(FRAME.headers, 0, 0, 1), "PROTOCOL_ERROR"],
    ["PRIORITY of no stream", head(FRAME.priority, 0, 0, 5), "PROTOCOL_ERROR"],
    ["PRIORITY of four bytes", head(FRAME.priority, 0, 1, 4), "FRAME_SIZE_ERROR"],
    ["RST_STREAM of no stream", head(FRAME.rstStream, 0, 0, 4), "PROTOCOL_ERROR"],
    ["RST_STREAM of three bytes", head(FRAME.rstStream, 0, 1, 3), "FRAME_SIZE_ERROR"],
    ["SETTINGS of a stream", head(FRAME.settings, 0, 1, 0), "PROTOCOL_ERROR"],
    ["SETTINGS of seven bytes", head(FRAME.settings, 0, 0, 7), "FRAME_SIZE_ERROR"],
    ["an acknowledgement of six bytes", head(FRAME.settings, FLAG.ack, 0, 6), "FRAME_SIZE_ERROR"],
    ["PUSH_PROMISE of no stream", head(FRAME.pushPromise, 0, 0, 4), "PROTOCOL_ERROR"],
    ["PING of a stream", head(FRAME.ping, 0, 1, 8), "PROTOCOL_ERROR"],
    ["PING of nine bytes", head(FRAME.ping, 0, 0, 9), "FRAME_SIZE_ERROR"],
    ["GOAWAY of a stream", head(FRAME.goaway, 0, 1, 8), "PROTOCOL_ERROR"],
    ["GOAWAY of seven bytes", head(FRAME.goaway, 0, 0, 7), "FRAME_SIZE_ERROR"],
    ["WINDOW_UPDATE of five bytes", head(FRAME.windowUpdate, 0, 1, 5), "FRAME_SIZE_ERROR"],
    ["CONTINUATION of no stream", head(FRAME.continuation, 0, 0, 1), "PROTOCOL_ERROR"],
  ])("%s", (_what, bytes, code) => {
    expect(() => read([bytes])).toThrow(expect.objectContaining({ code }));
    expect(() => read(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)))).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it("lets frames of a larger limit pass", () => {
    expect(read([raw(0, 0, 1, Buffer.alloc(20_000))], 20_000)).toHaveLength(1);
  });
});

describe("the writer", () => {
  it("writes each frame as the RFC has it", () => {
    expect(settingsFrame([[SETTING.maxConcurrentStreams, 100]]).toString("hex")).toBe("000006040000000000000300000064");
    expect(rstStreamFrame(5, "CANCEL").toString("hex")).toBe("00000403000000000500000008");
    expect(windowUpdateFrame(0, 1_000).toString("hex")).toBe("000004080000000000000003e8");
    expect(pingFrame(Buffer.from("12345678")).toString("hex")).toBe("0000080600000000003132333435363738");
    expect(goawayFrame(7, "ENHANCE_YOUR_CALM", "no").toString("hex")).toBe(
      "00000a07000000000000000007" + "0000000b6e6f",
    );
  });

  it("puts a header block that is too long for one frame into several", () => {
    const block = Buffer.from(Array.from({ length: 25 }, (_, at) => at));
    const frames = read([headersFrames(9, block, true, 10)]);
    expect(frames.map(({ flags, streamId, type }) => [type, flags, streamId])).toEqual([
      [FRAME.headers, FLAG.endStream, 9],
      [FRAME.continuation, 0, 9],
      [FRAME.continuation, FLAG.endHeaders, 9],
    ]);
    expect(Buffer.concat(frames.map(({ frame }) => frame.subarray(FRAME_HEAD_BYTES)))).toEqual(block);
    expect(read([headersFrames(9, block, false, 25)]).map(({ flags }) => flags)).toEqual([FLAG.endHeaders]);
    expect(read([headersFrames(9, Buffer.alloc(0), false, 25)]).map(({ flags }) => flags)).toEqual([FLAG.endHeaders]);
  });
});

describe("DATA", () => {
  it("counts without padding", () => {
    expect(dataBytes(0, raw(0, 0, 1, Buffer.alloc(7)))).toBe(7);
    expect(dataBytes(FLAG.padded, raw(0, 8, 1, Buffer.from([3, 1, 2, 0, 0, 0])))).toBe(2);
    expect(dataBytes(FLAG.padded, raw(0, 8, 1, Buffer.from([0])))).toBe(0);
  });

  it("has no more padding than payload", () => {
    expect(() => dataBytes(FLAG.padded, raw(0, 8, 1, Buffer.from([2, 0])))).toThrow("more padding than payload");
    expect(() => dataBytes(FLAG.padded, raw(0, 8, 1, Buffer.alloc(0)))).toThrow(Http2Error);
  });
});

describe("settings", () => {
  it("are read in their order, unknown ones too", () => {
    const settings = [
      [SETTING.maxFrameSize, 16_384],
      [0x0a0a, 5],
      [SETTING.initialWindowSize, 0x7fff_ffff],
    ] as const;
    expect(readSettings(settingsFrame(settings))).toEqual(settings);
  });

  it.each([
    [SETTING.enablePush, 2, "PROTOCOL_ERROR"],
    [SETTING.enableConnectProtocol, 2, "PROTOCOL_ERROR"],
    [SETTING.initialWindowSize, 0x8000_0000, "FLOW_CONTROL_ERROR"],
    [SETTING.maxFrameSize, 16_383, "PROTOCOL_ERROR"],
    [SETTING.maxFrameSize, 16_777_216, "PROTOCOL_ERROR"],
  ])("%d cannot be %d", (id, value, code) => {
    expect(() => readSettings(settingsFrame([[id, value]]))).toThrow(expect.objectContaining({ code }));
  });
});
