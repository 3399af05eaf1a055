// What is held comes in its order, and no later than the turn's end.

import { Writable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { writeSoon } from "./write-soon.ts";

function sink() {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString("latin1"));
      done();
    },
  });
  return { stream, written };
}

it("is held for the turn, and then written in its order, to each stream", async () => {
  const [one, two] = [sink(), sink()];
  writeSoon(one.stream, "a\xe9", "latin1");
  writeSoon(two.stream, Buffer.from("b"));
  one.stream.write("c");
  writeSoon(one.stream, "d");
  expect([one.written, two.written]).toEqual([[], []]);
  await turn();
  expect([one.written.join(""), two.written.join("")]).toEqual(["a\xe9cd", "b"]);
  writeSoon(one.stream, "e");
  await turn();
  expect(one.written.join("")).toBe("a\xe9cde");
});

it("is written at once where the stream is ended or let go", () => {
  const [ended, released] = [sink(), sink()];
  writeSoon(ended.stream, "a");
  ended.stream.end("b");
  writeSoon(released.stream, "a");
  released.stream.uncork();
  expect([ended.written.join(""), released.written]).toEqual(["ab", ["a"]]);
});

it("says when there is enough", () => {
  const { stream } = sink();
  expect(writeSoon(stream, "a")).toBe(true);
  expect(writeSoon(stream, Buffer.alloc(stream.writableHighWaterMark))).toBe(false);
});
