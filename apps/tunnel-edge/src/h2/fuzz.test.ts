// Whatever a client and a sandbox send each other: the relay does not fail, and the sandbox sees requests for its host alone.
import type { Duplex } from "node:stream";
import { duplexPair } from "node:stream";
import {
  encodeHeaders,
  FLAG,
  FRAME,
  FrameReader,
  HpackDecoder,
  PREFACE,
  settingsFrame,
} from "@sallyport/dataplane/http2";
import fc from "fast-check";
import { expect, it } from "vitest";
import { answer, raw, request, requestFields, SETTINGS_ACK } from "../../test/h2-peer.ts";
import { HOST } from "../../test/h2-place.ts";
import { DEFAULT_HTTP2_LIMITS } from "./limits.ts";
import { relayHttp2 } from "./relay.ts";

const OTHER = "other.example";
const anyStream = fc.constantFrom(0, 1, 1, 2, 3, 3, 5, 7, 9, 11);
const anyFlags = fc.constantFrom(
  0,
  FLAG.endStream,
  FLAG.endHeaders,
  FLAG.endHeaders | FLAG.endStream,
  FLAG.padded,
  0x2d,
);
const authority = fc.constantFrom(HOST, HOST, OTHER, `${HOST}:443`, `${HOST}.`);
const block = fc.oneof(
  {
    weight: 4,
    arbitrary: authority.map((name) => encodeHeaders(requestFields({ ":authority": name, "x-tag": name }))),
  },
  {
    weight: 1,
    arbitrary: authority.map((name) => encodeHeaders(requestFields({ ":authority": undefined, host: name }))),
  },
  { weight: 1, arbitrary: fc.constant(encodeHeaders([{ name: "x-trailer", value: "y", sensitive: false }])) },
  { weight: 1, arbitrary: fc.constant(encodeHeaders([{ name: ":status", value: "200", sensitive: false }])) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
);
const word = fc.constantFrom(0, 1, 8, 0x7fff_ffff, 0xffff_ffff).map((value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
});
const anyFrame = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.constantFrom(FRAME.headers, FRAME.headers, FRAME.continuation), anyFlags, anyStream, block),
  },
  { weight: 3, arbitrary: fc.tuple(fc.constant(FRAME.data), anyFlags, anyStream, fc.uint8Array({ maxLength: 30 })) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(FRAME.rstStream, FRAME.windowUpdate), fc.constant(0), anyStream, word),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant(FRAME.settings),
      fc.constantFrom(0, 1),
      fc.constant(0),
      fc.constant(Buffer.alloc(0)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.integer({ min: 0, max: 20 }), anyFlags, anyStream, fc.uint8Array({ maxLength: 12 })),
  },
);
/** A request on the next stream, or an answer on the last one: without them most connections would end at once. */
const message = fc.tuple(fc.constantFrom("request", "body", "answer"), authority, fc.boolean());
const anyStep = fc.record({
  from: fc.constantFrom("client", "client", "sandbox"),
  messages: fc.array(message, { minLength: 1, maxLength: 4 }),
  frames: fc.oneof(
    { weight: 3, arbitrary: fc.array(anyFrame, { maxLength: 0 }) },
    { weight: 1, arbitrary: fc.array(anyFrame, { maxLength: 2 }) },
  ),
  cut: fc.nat({ max: 60 }),
});

/** Says messages as one side would. */
class Speaker {
  #streamId = -1;

  say([kind, name, isWhole]: [string, string, boolean], from: string): Buffer {
    const streamId = Math.max(1, this.#streamId);
    if (from === "sandbox")
      return isWhole ? answer(streamId) : raw(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 9]));
    if (kind === "body") return raw(FRAME.data, 0, streamId, "x");
    this.#streamId += 2;
    return request(this.#streamId, { ":authority": name, "x-tag": name }, isWhole);
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function send(socket: Duplex, bytes: Buffer, cut: number): void {
  if (!socket.writable) return;
  socket.write(bytes.subarray(0, cut));
  socket.write(bytes.subarray(cut));
}

it("holds for every turn of events", async () => {
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 12 }), async (steps) => {
      const [client, clientSide] = duplexPair();
      const [sandbox, sandboxSide] = duplexPair();
      const came: Buffer[] = [];
      sandbox.on("data", (piece: Buffer) => came.push(piece));
      client.resume();
      const limits = { ...DEFAULT_HTTP2_LIMITS, lingerMs: 1 };
      const relay = relayHttp2(clientSide, sandboxSide, { serverName: HOST, publicPort: 443, limits });
      client.write(Buffer.concat([PREFACE, settingsFrame([]), SETTINGS_ACK]));
      sandbox.write(settingsFrame([]));
      await turn();
      const speaker = new Speaker();
      for (const { cut, frames, from, messages } of steps) {
        const said = messages.map((one) => speaker.say(one, from));
        const others = frames.map(([type, flags, streamId, payload]) => raw(type, flags, streamId, payload));
        const bytes = Buffer.concat([...said, ...others]);
        send(from === "client" ? client : sandbox, bytes, cut);
        await turn();
      }
      relay.destroy();
      expect((await relay.done).problem).not.toBe("the relay failed");
      const seen = Buffer.concat(came);
      expect(seen.includes(OTHER)).toBe(false);
      // What the sandbox has got are whole frames, in which every request is for its host.
      const decoder = new HpackDecoder({ maxTableBytes: 0, maxListBytes: 65_536 });
      const onFrame = (type: number, flags: number, _streamId: number, frame: Buffer) => {
        if (type !== FRAME.headers) return;
        expect(flags & ~(FLAG.endHeaders | FLAG.endStream)).toBe(0);
        for (const { name, value } of decoder.decode(frame.subarray(9)).fields) {
          if (name !== ":authority" && name !== "host") continue;
          expect([HOST, `${HOST}:443`, `${HOST}.`]).toContain(value);
          passed += 1;
        }
      };
      const reader = new FrameReader({ onFrame }, 16_384);
      reader.push(seen.subarray(PREFACE.length));
      expect(reader.openBytes).toBe(0);
    }),
    { numRuns: 1_500 },
  );
  expect(passed).toBeGreaterThan(1_000);
});
