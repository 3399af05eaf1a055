// Header blocks that are cut into frames, padded, prioritised, interrupted and without end.
import { describe, expect, it } from "vitest";
import { newFrame } from "./frame-writer.ts";
import { HeaderBlockReader } from "./header-block.ts";
import { FLAG, FRAME, FRAME_HEAD_BYTES } from "./wire.ts";

const LIMITS = { maxBlockBytes: 100, maxContinuations: 3 };
const { endHeaders, endStream, padded, priority } = FLAG;

function frame(type: number, flags: number, bytes: readonly number[] = []): Buffer {
  const made = newFrame(type, flags, 1, bytes.length);
  made.set(bytes, FRAME_HEAD_BYTES);
  return made;
}

function headers(flags: number, bytes: readonly number[] = [], reader = new HeaderBlockReader(LIMITS)) {
  return reader.headers(flags, 1, frame(FRAME.headers, flags, bytes));
}

describe("HEADERS", () => {
  it.each([
    ["plain", endHeaders, [1, 2], [1, 2]],
    ["with padding", endHeaders | padded, [2, 1, 2, 9, 9], [1, 2]],
    ["with priority", endHeaders | priority, [0, 0, 0, 3, 15, 1, 2], [1, 2]],
    ["with both", endHeaders | padded | priority, [1, 0x80, 0, 0, 3, 15, 1, 2, 9], [1, 2]],
    ["of padding alone", endHeaders | padded, [3, 0, 0, 0], []],
  ])("%s", (_what, flags, bytes, expected) => {
    expect(headers(flags, bytes)).toEqual({ streamId: 1, endStream: false, bytes: Buffer.from(expected) });
  });

  it("ends a stream, or does not", () => {
    expect(headers(endHeaders | endStream, [1])?.endStream).toBe(true);
  });

  it.each([
    ["more padding than payload", endHeaders | padded, [2, 1], "PROTOCOL_ERROR"],
    ["no length of its padding", endHeaders | padded, [], "FRAME_SIZE_ERROR"],
    ["no room for its priority", endHeaders | priority, [0, 0, 0, 3], "FRAME_SIZE_ERROR"],
    ["padding where its priority should be", endHeaders | padded | priority, [3, 0, 0, 0, 3, 1], "FRAME_SIZE_ERROR"],
    ["a dependency on itself", endHeaders | priority, [0x80, 0, 0, 1, 15, 1], "PROTOCOL_ERROR"],
  ])("with %s", (_what, flags, bytes, code) => {
    expect(() => headers(flags, bytes)).toThrow(expect.objectContaining({ code }));
  });
});

describe("CONTINUATION", () => {
  const reader = () => {
    const made = new HeaderBlockReader(LIMITS);
    expect(headers(endStream, [1], made)).toBeUndefined();
    return made;
  };

  it("continues", () => {
    const open = reader();
    expect(open.isOpen).toBe(true);
    expect(open.continuation(0, 1, frame(FRAME.continuation, 0, [2]))).toBeUndefined();
    const block = open.continuation(endHeaders, 1, frame(FRAME.continuation, endHeaders, [3]));
    expect(block).toEqual({ streamId: 1, endStream: true, bytes: Buffer.from([1, 2, 3]) });
    expect(open.isOpen).toBe(false);
    open.checkClosed();
  });

  it.each([
    ["no block", (open: HeaderBlockReader) => headers(endHeaders, [1], open)],
    ["another stream's block", () => undefined],
  ])("of %s", (what, prepare) => {
    const open = what === "no block" ? new HeaderBlockReader(LIMITS) : reader();
    prepare(open);
    expect(() => open.continuation(endHeaders, 3, frame(FRAME.continuation, endHeaders))).toThrow(
      "continues no header block",
    );
  });

  it("lets nothing else between", () => {
    const open = reader();
    expect(() => headers(endHeaders, [1], open)).toThrow("amid a header block");
    expect(() => open.checkClosed()).toThrow("amid a header block");
  });

  it("comes so often only, however little it brings", () => {
    const open = reader();
    for (let count = 0; count < LIMITS.maxContinuations; count += 1) {
      open.continuation(0, 1, frame(FRAME.continuation, 0));
    }
    expect(() => open.continuation(0, 1, frame(FRAME.continuation, 0))).toThrow(
      expect.objectContaining({ code: "ENHANCE_YOUR_CALM" }),
    );
  });

  it("brings so much only", () => {
    const open = reader();
    const bytes = Array.from({ length: 99 }, () => 1);
    expect(() => open.continuation(0, 1, frame(FRAME.continuation, 0, [...bytes, 1]))).toThrow(
      expect.objectContaining({ code: "ENHANCE_YOUR_CALM" }),
    );
    const other = reader();
    expect(other.continuation(endHeaders, 1, frame(FRAME.continuation, endHeaders, bytes))?.bytes).toHaveLength(100);
  });
});
