// Where frames begin, however their bytes are cut.
import fc from "fast-check";
import { expect, it } from "vitest";
import { closeFrame } from "./close-frame.ts";
import { FrameBoundary } from "./frame-boundary.ts";

function frame(length: number, form: 7 | 16 | 64, masked: boolean): Buffer {
  const second = (masked ? 0x80 : 0) | (form === 7 ? length : form === 16 ? 126 : 127);
  const long = Buffer.alloc(form === 7 ? 0 : form / 8);
  if (form === 16) long.writeUInt16BE(length);
  if (form === 64) long.writeBigUInt64BE(BigInt(length));
  return Buffer.concat([
    Buffer.from([0x82, second]),
    long,
    Buffer.alloc(masked ? 4 : 0, 7),
    Buffer.alloc(length, 0x88),
  ]);
}

const frames = fc.array(
  fc.record({ length: fc.nat({ max: 125 }), form: fc.constantFrom(7, 16, 64), masked: fc.boolean() }),
  { minLength: 1, maxLength: 6 },
);

it("is between frames exactly where they meet", () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }), (shapes, steps) => {
      const parts = shapes.map(({ form, length, masked }) => frame(length, form as 7, masked));
      const bytes = Buffer.concat(parts);
      const meetings = new Set([0]);
      let sum = 0;
      for (const part of parts) {
        sum += part.length;
        meetings.add(sum);
      }
      const boundary = new FrameBoundary();
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const next = Math.min(bytes.length, at + (steps[turn % steps.length] ?? 1));
        boundary.pass(bytes.subarray(at, next));
        at = next;
        expect(boundary.isBetween).toBe(meetings.has(at));
      }
      expect(boundary.hasClosed).toBe(false);
    }),
  );
});

it("notices a close frame", () => {
  const boundary = new FrameBoundary();
  boundary.pass(closeFrame(1008, "why", true));
  expect(boundary).toMatchObject({ isBetween: true, hasClosed: true });
});

it("a close frame is one, masked or not", () => {
  expect(closeFrame(1001, "ab", false)).toEqual(Buffer.from([0x88, 4, 0x03, 0xe9, 0x61, 0x62]));
  const masked = closeFrame(1001, "ab", true);
  const payload = masked.subarray(6).map((byte, index) => byte ^ (masked[2 + (index % 4)] ?? 0));
  expect([...payload]).toEqual([0x03, 0xe9, 0x61, 0x62]);
});
