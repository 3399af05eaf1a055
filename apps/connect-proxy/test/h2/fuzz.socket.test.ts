// Any turn of events on a connection: frames in any order, cut anywhere, header blocks that are none. The front neither falls
// nor forwards what is no request of its host, and goes on to serve others.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { duplexPair } from "node:stream";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FLAG, FRAME, frame, headerBlock, headersFrame, PREFACE, uint32 } from "../h2-peer.ts";
import type { World } from "./world.ts";
import { HOST, OTHER_HOST, startWorld } from "./world.ts";

let world: World;
const seen: IncomingMessage[] = [];

beforeAll(async () => {
  world = await startWorld({
    app: (request, response) => {
      seen.push(request);
      request.on("error", () => response.destroy());
      request.pipe(response);
    },
    limits: { lingerMs: 1 },
  });
});

afterAll(() => world[Symbol.asyncDispose]());

const SETTINGS = frame(FRAME.settings, FLAG.none, 0);
const anyStream = fc.constantFrom(0, 1, 1, 2, 3, 3, 5, 7, 9, 11);
const anyFlags = fc.constantFrom(0, FLAG.endStream, FLAG.endHeaders, 5, FLAG.padded, 0x2d);
const authority = fc.constantFrom(HOST, HOST, OTHER_HOST, `${HOST}:443`, `${HOST}.`, "");
const word = fc.constantFrom(0, 1, 8, 0x7fff_ffff, 0xffff_ffff).map(uint32);
/** Also such as put fields into the table, name them, change its size, or are nothing at all. */
const anyBlock = fc.oneof(
  authority.map((host) => headerBlock(world.head({ ":authority": host, "x-tag": host }))),
  fc.constant(headerBlock([["x-trailer", "y"]])),
  fc.constant(headerBlock([[":status", "200"]])),
  fc
    .constantFrom("4001780179", "be", "bebebe", "20", "3fe11f", "8287", "ffffffff0f", "008f")
    .map((hex) => Buffer.from(hex, "hex")),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((some) => Buffer.from(some));
const anyFrame = fc
  .oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(fc.constantFrom(FRAME.headers, FRAME.continuation), anyFlags, anyStream, anyBlock),
    },
    { weight: 3, arbitrary: fc.tuple(fc.constant(FRAME.data), anyFlags, anyStream, bytes(40)) },
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
    { weight: 1, arbitrary: fc.tuple(fc.constant(FRAME.settings), fc.constant(0), fc.constant(0), bytes(18)) },
    { weight: 1, arbitrary: fc.tuple(fc.nat({ max: 20 }), anyFlags, anyStream, bytes(16)) },
  )
  .map(([type, flags, stream, payload]) => frame(type, flags, stream, payload));
/** Without requests most connections would end at once. */
const anyMessage = fc.record({ host: authority, isWhole: fc.boolean(), isPost: fc.boolean() });
const anyStep = fc.record({
  messages: fc.array(anyMessage, { minLength: 1, maxLength: 3 }),
  frames: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(anyFrame, { maxLength: 3 }) },
  ),
  cut: fc.nat({ max: 80 }),
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function begin(): Duplex {
  const [client, server] = duplexPair();
  client.on("error", () => client.destroy());
  client.resume();
  world.front.serve(server, { peerAddress: "127.0.0.1", servername: HOST });
  return client;
}

function send(client: Duplex, all: Buffer, cut: number): void {
  if (!client.writable) return;
  client.write(all.subarray(0, cut));
  client.write(all.subarray(cut));
}

async function isServed(): Promise<void> {
  const peer = await world.peer();
  peer.send(
    headersFrame(1, world.head({ ":method": "POST" }), false),
    frame(FRAME.data, FLAG.endStream, 1, Buffer.from("x")),
  );
  expect(await peer.answer(1)).toEqual({ status: 200, body: "x", reset: undefined });
  peer[Symbol.dispose]();
}

async function checkAll(): Promise<void> {
  await isServed();
  await expect.poll(() => world.front.size).toBe(0);
  expect(world.ends.filter(({ code }) => code === "InternalError")).toEqual([]);
  for (const { headers, url } of seen) {
    expect([HOST, `${HOST}:443`]).toContain(headers.host);
    expect(url).toBe("/");
  }
}

it("holds for every turn of events", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 10 }), async (steps) => {
      const client = begin();
      client.write(Buffer.concat([PREFACE, SETTINGS]));
      let stream = -1;
      for (const { cut, frames, messages } of steps) {
        const said = messages.flatMap(({ host, isPost, isWhole }) => {
          stream += 2;
          const changes = { ":authority": host, "x-tag": host, ...(isPost ? { ":method": "POST" } : {}) };
          const head = headersFrame(stream, world.head(changes), isWhole);
          return isWhole ? [head] : [head, frame(FRAME.data, FLAG.none, stream, Buffer.from("x"))];
        });
        send(client, Buffer.concat([...said, ...frames]), cut);
        await turn();
      }
      for (let count = 0; count < 10; count += 1) await turn(); // most of it comes to the app
      client.destroy();
    }),
    { numRuns: 500 },
  );
  expect(seen.length).toBeGreaterThan(100);
  await checkAll();
});

it("holds for octets that are no frames, and for frames whose octets are changed", async () => {
  const sound = () => Buffer.concat([PREFACE, SETTINGS, headersFrame(1, world.head()), headersFrame(3, world.head())]);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 8 }),
      bytes(200),
      async (changes, more) => {
        const client = begin();
        const all = Buffer.concat([sound(), more]);
        for (const [at, value] of changes) all[PREFACE.length + (at % (all.length - PREFACE.length))] = value;
        client.write(all);
        await turn();
        client.destroy();
      },
    ),
    { numRuns: 500 },
  );
  // A path or a name may have been changed: what reached the app was a request all the same.
  seen.length = 0;
  await checkAll();
});
