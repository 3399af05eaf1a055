// The memory of reads is given back once they are written on, and not a moment earlier: a peer that stops reading leaves
// writes pending whose bytes must still be there when it goes on. No two stretches of the bodies are the same, so that
// memory which is used again shows.
import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freeRead, isFreeable } from "@sallyport/dataplane";
import { describe, expect, it } from "vitest";
import { head, ok, World } from "./world.ts";

const BODY = randomBytes(48 * 1_024 * 1_024);
const SUM = createHash("sha256").update(BODY).digest("hex");
/** Between two rests of a reader. */
const STRETCH_BYTES = 12 * 1_024 * 1_024;
const REST_MS = 100;

/** Reads so many bytes behind a head, and rests again and again; the sum of them. */
async function sumOfRested(socket: Socket): Promise<string> {
  const hash = createHash("sha256");
  let start: Buffer | undefined = Buffer.alloc(0);
  let left = BODY.length;
  let rested = Number.POSITIVE_INFINITY;
  for await (const data of socket.iterator({ destroyOnReturn: false })) {
    let content = data as Buffer;
    if (start !== undefined) {
      start = Buffer.concat([start, content]);
      const end = start.indexOf("\r\n\r\n");
      if (end === -1) continue;
      content = start.subarray(end + 4);
      start = undefined;
    }
    hash.update(content);
    left -= content.length;
    if (left <= 0) break;
    if (rested - left < STRETCH_BYTES) continue;
    rested = left;
    await sleep(REST_MS);
  }
  return hash.digest("hex");
}

const LENGTH = `Content-Length: ${BODY.length}`;

describe("a body whose reads are given back", () => {
  it("comes down whole to a reader that rests", async () => {
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", () => {
          socket.write(`HTTP/1.1 200 OK\r\n${LENGTH}\r\n\r\n`);
          socket.write(BODY);
        });
      },
    });
    using peer = await world.connect();
    peer.socket.removeAllListeners("data");
    peer.send(head("GET /"));
    expect(await sumOfRested(peer.socket)).toBe(SUM);
  });

  it("goes up whole to an app that rests", async () => {
    const sum = Promise.withResolvers<string>();
    await using world = await World.start({
      app: (socket) => {
        sumOfRested(socket).then(sum.resolve, sum.reject);
        void sum.promise.then(() => socket.end(ok("x")));
      },
    });
    using peer = await world.connect();
    peer.send(head("POST /", LENGTH));
    peer.socket.write(BODY);
    expect(await sum.promise).toBe(SUM);
    await peer.until("\r\n\r\nx");
  });
});

describe("a read", () => {
  it("is given back when it is large and its memory is its own alone", () => {
    const own = Buffer.allocUnsafeSlow(65_536);
    expect([own, own.subarray(1), own.subarray(0, 40_000), Buffer.allocUnsafeSlow(1_024)].map(isFreeable)).toEqual([
      true,
      false,
      false,
      false,
    ]);
    freeRead(own);
    expect(own.length).toBe(0);
  });
});
