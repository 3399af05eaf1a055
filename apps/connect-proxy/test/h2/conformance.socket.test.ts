// RFC 9113 by its sections, in the manner of h2spec: raw bytes of a client, and what this server has to say to them.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Frame, Pairs, RawH2Peer } from "../h2-peer.ts";
import { ERROR, FLAG, FRAME, frame, headerBlock, headersFrame, PREFACE, uint32 } from "../h2-peer.ts";
import type { World } from "./world.ts";
import { startWorld } from "./world.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld({
    app: (request, response) => {
      request.resume();
      if (request.url === "/slow") response.on("close", () => response.end());
      else request.on("end", () => response.end("answer"));
    },
  });
});

afterAll(() => world[Symbol.asyncDispose]());

const { ack, endHeaders, endStream, none, padded, priority } = FLAG;
const WHOLE = endHeaders | endStream;
const SETTINGS = frame(FRAME.settings, none, 0);
type Changes = Readonly<Record<string, string>>;

/** Frames are made when a test begins: the token is known then. */
type Make = () => Buffer;
const request =
  (stream: number, changes: Changes = {}, isWhole = true): Make =>
  () =>
    headersFrame(stream, world.head(changes), isWhole);
const slow = (stream: number): Make => request(stream, { ":path": "/slow" });
const open = (stream: number, changes: Changes = {}): Make =>
  request(stream, { ":method": "POST", ":path": "/slow", ...changes }, false);
const block = (changes: Changes = {}) => headerBlock(world.head(changes));
const bytes =
  (type: number, flags: number, stream: number, payload: Buffer | (() => Buffer) = Buffer.alloc(0)): Make =>
  () =>
    frame(type, flags, stream, typeof payload === "function" ? payload() : payload);
const data = (stream: number, text: string, flags: number = none): Make =>
  bytes(FRAME.data, flags, stream, Buffer.from(text));
const reset = (stream: number): Make => bytes(FRAME.rstStream, none, stream, uint32(ERROR.cancel));
const settings = (id: number, value: number): Make =>
  bytes(FRAME.settings, none, 0, Buffer.concat([Buffer.from([0, id]), uint32(value)]));
const window = (stream: number, increment: number): Make => bytes(FRAME.windowUpdate, none, stream, uint32(increment));

async function client(...frames: readonly Make[]): Promise<RawH2Peer> {
  const peer = await world.peer();
  peer.send(...frames.map((make) => make()));
  return peer;
}

/** The connection ends with this code. */
async function ends(code: number, ...frames: readonly Make[]): Promise<void> {
  const peer = await client(...frames);
  expect(await peer.goaway()).toBe(code);
  await peer.ended();
}

/** The stream is reset with this code, and the connection goes on. */
async function resets(code: number, stream: number, ...frames: readonly Make[]): Promise<void> {
  const peer = await client(...frames);
  expect(await peer.answer(stream)).toMatchObject({ reset: code });
  await answers(peer, stream + 2, request(stream + 2));
}

async function answers(peer: RawH2Peer, stream: number, ...frames: readonly Make[]): Promise<void> {
  peer.send(...frames.map((make) => make()));
  expect(await peer.answer(stream)).toEqual({ status: 200, body: "answer", reset: undefined });
}

const isAck = ({ flags, type }: Frame) => type === FRAME.settings && flags === ack;

describe("3.4 the preface", () => {
  it("is answered by SETTINGS as the first frame", async () => {
    const peer = await world.silentPeer();
    expect(await peer.next(() => true)).toMatchObject({ type: FRAME.settings, flags: 0 });
  });

  it.each(["INVALID CONNECTION PREFACE\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0"])(
    "is not %j",
    async (text) => {
      const peer = await world.silentPeer();
      peer.send(Buffer.from(text));
      expect(await peer.goaway()).toBe(ERROR.protocol);
      await peer.ended();
    },
  );

  it("may come byte by byte, as may what follows", async () => {
    const peer = await world.silentPeer();
    for (const byte of Buffer.concat([PREFACE, SETTINGS, request(1)()])) peer.send(Buffer.from([byte]));
    await answers(peer, 1);
  });

  it.each([
    ["PING", bytes(FRAME.ping, none, 0, Buffer.alloc(8))],
    ["HEADERS", request(1)],
    ["an acknowledgement", bytes(FRAME.settings, ack, 0)],
  ])("is not followed by %s", async (_what, make) => {
    const peer = await world.silentPeer();
    peer.send(PREFACE, make());
    expect(await peer.goaway()).toBe(ERROR.protocol);
  });
});

describe("4 frames", () => {
  it("4.1: unknown types, undefined flags and the reserved bit are ignored", async () => {
    const ping = frame(FRAME.ping, 0xfe, 0, Buffer.from("h2spec  "));
    ping[5] = 0x80;
    const peer = await client(bytes(0x16, 0xff, 0), bytes(0x17, 1, 9, Buffer.from("y")), () => ping);
    expect(await peer.next(({ type }) => type === FRAME.ping)).toMatchObject({
      flags: ack,
      payload: Buffer.from("h2spec  "),
    });
  });

  it("4.2: frames of 16,384 bytes are taken", async () => {
    const peer = await client(request(1, { ":method": "POST" }, false));
    await answers(peer, 1, bytes(FRAME.data, endStream, 1, Buffer.alloc(16_384)));
  });

  it.each([
    ["DATA", [open(1), bytes(FRAME.data, none, 1, Buffer.alloc(16_385))]],
    ["HEADERS", [bytes(FRAME.headers, WHOLE, 1, Buffer.alloc(16_385))]],
    ["an unknown frame", [bytes(0xaa, 0, 0, Buffer.alloc(16_385))]],
  ])("4.2: %s of 16,385 bytes is too long", async (_what, frames) => {
    await ends(ERROR.frameSize, ...frames);
  });

  it("4.3: a block that cannot be decoded", async () => {
    await ends(ERROR.compression, bytes(FRAME.headers, WHOLE, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])));
  });

  it.each([
    ["PRIORITY", bytes(FRAME.priority, none, 1, Buffer.alloc(5))],
    ["another stream's HEADERS", request(3)],
    ["an unknown frame", bytes(0x20, 0, 0)],
    ["DATA", data(1, "x")],
  ])("4.3: a block that %s interrupts", async (_what, make) => {
    await ends(ERROR.protocol, bytes(FRAME.headers, endStream, 1, block), make);
  });

  it("4.3: a block that nobody wants is decoded for those behind it", async () => {
    // An early answer resets the stream; its trailers put a field into the table that the next request names.
    const indexed = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from("x"), Buffer.from([1]), Buffer.from("y")]);
    const peer = await client(request(1, { ":method": "POST", authorization: "Bearer no" }, false));
    expect(await peer.answer(1)).toMatchObject({ status: 401 });
    const named = () => Buffer.concat([block(), Buffer.from([0x80 | 62])]);
    const trailers = bytes(FRAME.headers, WHOLE, 1, indexed);
    await answers(peer, 3, trailers, bytes(FRAME.headers, WHOLE, 3, named));
  });
});

describe("5 streams", () => {
  it.each([
    ["idle: DATA", [data(1, "x")], ERROR.protocol],
    ["idle: RST_STREAM", [reset(1)], ERROR.protocol],
    ["idle: WINDOW_UPDATE", [window(1, 1)], ERROR.protocol],
    ["idle: CONTINUATION", [bytes(FRAME.continuation, endHeaders, 1, block)], ERROR.protocol],
    ["half-closed: DATA", [slow(1), data(1, "x")], ERROR.streamClosed],
    ["half-closed: HEADERS", [slow(1), request(1)], ERROR.streamClosed],
    ["half-closed: CONTINUATION", [slow(1), bytes(FRAME.continuation, endHeaders, 1)], ERROR.protocol],
    ["reset by the client: DATA", [open(1), reset(1), data(1, "x")], ERROR.streamClosed],
    ["reset by the client: HEADERS", [open(1), reset(1), request(1)], ERROR.streamClosed],
  ])("5.1: %s", async (_what, frames, code) => {
    await ends(code, ...frames);
  });

  it.each([
    ["DATA", data(1, "x"), ERROR.streamClosed],
    ["HEADERS", request(1), ERROR.streamClosed],
    ["CONTINUATION", bytes(FRAME.continuation, endHeaders, 1), ERROR.protocol],
  ])("5.1: ended: %s", async (_what, make, code) => {
    const peer = await client();
    await answers(peer, 1, request(1));
    peer.send(make());
    expect(await peer.goaway()).toBe(code);
  });

  it.each([
    ["PRIORITY", bytes(FRAME.priority, none, 1, Buffer.alloc(5))],
    ["WINDOW_UPDATE", window(1, 1)],
    ["RST_STREAM", reset(1)],
  ])("5.1: ended: %s is ignored", async (_what, make) => {
    const peer = await client();
    await answers(peer, 1, request(1));
    await answers(peer, 3, make, request(3));
  });

  it("5.1: what is under way when a stream is reset is ignored, and its bytes are given back", async () => {
    const peer = await client(request(1, { ":method": "POST", authorization: "Bearer no" }, false));
    expect(await peer.answer(1)).toMatchObject({ status: 401 });
    const { payload } = await peer.next(({ type }) => type === FRAME.rstStream);
    expect(payload.readUInt32BE()).toBe(ERROR.none);
    const piece = bytes(FRAME.data, none, 1, Buffer.alloc(16_384));
    // Twice the connection's window.
    for (let count = 0; count < 128; count += 1) peer.send(piece());
    await answers(peer, 3, bytes(FRAME.headers, WHOLE, 1, headerBlock([["x", "y"]])), request(3));
    const given = peer.frames.filter(({ stream, type }) => type === FRAME.windowUpdate && stream === 0).slice(1);
    expect(given.reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0)).toBeGreaterThan(1_048_576);
  });

  it("5.1.1: even numbers are not a client's, and numbers go up", async () => {
    await ends(ERROR.protocol, request(2));
    await ends(ERROR.protocol, slow(5), request(3));
  });

  it("5.1.2: more streams than announced are refused, and may be tried again", async () => {
    const peer = await client(...Array.from({ length: 101 }, (_, at) => slow(2 * at + 1)));
    const announced = await peer.next(({ flags, type }) => type === FRAME.settings && flags === 0);
    expect(announced.payload.toString("hex")).toContain("000300000064");
    expect(await peer.answer(201)).toMatchObject({ status: undefined, reset: ERROR.refusedStream });
    await answers(peer, 203, reset(1), request(203));
  });

  it("5.3.1: no stream depends on itself", async () => {
    const dependent = () => Buffer.concat([uint32(1), Buffer.from([9]), block()]);
    await ends(ERROR.protocol, bytes(FRAME.headers, WHOLE | priority, 1, dependent));
    await ends(ERROR.protocol, bytes(FRAME.priority, none, 1, Buffer.from([0, 0, 0, 1, 9])));
  });
});

describe("6 frames by their types", () => {
  it.each([
    ["6.1: DATA of no stream", [data(0, "x")], ERROR.protocol],
    ["6.1: DATA with too much padding", [open(1), bytes(FRAME.data, padded, 1, Buffer.from([9, 1]))], ERROR.protocol],
    ["6.2: HEADERS of no stream", [bytes(FRAME.headers, WHOLE, 0, block)], ERROR.protocol],
    [
      "6.2: HEADERS with too much padding",
      [bytes(FRAME.headers, WHOLE | padded, 1, Buffer.from([9, 1]))],
      ERROR.protocol,
    ],
    ["6.3: PRIORITY of no stream", [bytes(FRAME.priority, none, 0, Buffer.alloc(5))], ERROR.protocol],
    ["6.3: PRIORITY of six bytes", [bytes(FRAME.priority, none, 1, Buffer.alloc(6))], ERROR.frameSize],
    ["6.4: RST_STREAM of no stream", [reset(0)], ERROR.protocol],
    ["6.4: RST_STREAM of three bytes", [open(1), bytes(FRAME.rstStream, none, 1, Buffer.alloc(3))], ERROR.frameSize],
    ["6.5: SETTINGS of a stream", [bytes(FRAME.settings, none, 1)], ERROR.protocol],
    ["6.5: SETTINGS of three bytes", [bytes(FRAME.settings, none, 0, Buffer.alloc(3))], ERROR.frameSize],
    ["6.5: an acknowledgement with settings", [bytes(FRAME.settings, ack, 0, Buffer.alloc(6))], ERROR.frameSize],
    ["6.5.2: pushes neither on nor off", [settings(2, 2)], ERROR.protocol],
    ["6.5.2: a window of 2^31", [settings(4, 0x8000_0000)], ERROR.flowControl],
    ["6.5.2: frames of 16,383 bytes", [settings(5, 16_383)], ERROR.protocol],
    ["6.5.2: frames of 2^24 bytes", [settings(5, 0x100_0000)], ERROR.protocol],
    ["6.5.3: an acknowledgement that nobody asked for", [bytes(FRAME.settings, ack, 0)], ERROR.protocol],
    ["6.6: PUSH_PROMISE", [open(1), bytes(FRAME.pushPromise, endHeaders, 1, uint32(2))], ERROR.protocol],
    ["6.7: PING of a stream", [bytes(FRAME.ping, none, 1, Buffer.alloc(8))], ERROR.protocol],
    ["6.7: PING of six bytes", [bytes(FRAME.ping, none, 0, Buffer.alloc(6))], ERROR.frameSize],
    ["6.8: GOAWAY of a stream", [bytes(FRAME.goaway, none, 1, Buffer.alloc(8))], ERROR.protocol],
    ["6.9: no increment of the connection", [window(0, 0)], ERROR.protocol],
    ["6.9: an increment of three bytes", [bytes(FRAME.windowUpdate, none, 0, Buffer.alloc(3))], ERROR.frameSize],
    ["6.9.1: the connection's window over 2^31-1", [window(0, 0x7fff_ffff)], ERROR.flowControl],
    [
      "6.9.2: windows over 2^31-1 by settings",
      [slow(1), window(1, 0x7fff_0000), settings(4, 0x7fff_ffff)],
      ERROR.flowControl,
    ],
    ["6.10: CONTINUATION behind the end", [open(1), bytes(FRAME.continuation, endHeaders, 1, block)], ERROR.protocol],
    [
      "6.10: CONTINUATION of no stream",
      [bytes(FRAME.headers, none, 1, block), bytes(FRAME.continuation, none, 0)],
      ERROR.protocol,
    ],
    [
      "6.10: CONTINUATION of another stream",
      [bytes(FRAME.headers, none, 1, block), bytes(FRAME.continuation, none, 3)],
      ERROR.protocol,
    ],
  ])("%s", async (_what, frames, code) => {
    // The first acknowledgement is said by the peer itself; one that is owed to nobody comes behind it.
    if (frames[0]?.()[3] === FRAME.settings && frames[0]?.()[4] === ack) {
      const peer = await client(request(1));
      await peer.answer(1);
      peer.send(...frames.map((make) => make()));
      expect(await peer.goaway()).toBe(code);
    } else await ends(code, ...frames);
  });

  it("6.9, 6.9.1: errors of one stream's window", async () => {
    await resets(ERROR.protocol, 1, slow(1), window(1, 0));
    await resets(ERROR.flowControl, 1, slow(1), window(1, 0x7fff_ffff));
  });

  it("6.9: a client that sends more than a stream's window takes", async () => {
    await using small = await startWorld({
      app: (_request, response) => response.end("answer"),
      streamLimits: { streamWindowBytes: 1_000 },
    });
    const peer = await small.peer();
    const head = headersFrame(1, small.head({ ":method": "POST" }), false);
    peer.send(head, frame(FRAME.data, none, 1, Buffer.alloc(1_001)), headersFrame(3, small.head()));
    expect(await peer.answer(1)).toMatchObject({ status: undefined, reset: ERROR.flowControl });
    expect(await peer.answer(3)).toMatchObject({ status: 200 });
  });

  it("6.1, 6.2: padding and priority are taken", async () => {
    const head = () =>
      Buffer.concat([Buffer.from([2]), uint32(0), Buffer.from([9]), block({ ":method": "POST" }), Buffer.alloc(2)]);
    const peer = await client(bytes(FRAME.headers, endHeaders | padded | priority, 1, head));
    await answers(peer, 1, bytes(FRAME.data, endStream | padded, 1, Buffer.from([3, 0x61, 0, 0, 0])));
    expect(await world.ended(({ inBytes }) => inBytes === 1)).toMatchObject({ outcome: "complete" });
  });

  it("6.5.3: settings are acknowledged, unknown ones too", async () => {
    const peer = await client(settings(4, 1), settings(0xff, 7));
    await expect.poll(() => peer.frames.filter(isAck).length).toBe(3);
  });

  it("6.5.3, 6.9.2: an initial window that changes amid an answer", async () => {
    const peer = await world.peer(Buffer.concat([Buffer.from([0, 4]), uint32(2)]));
    peer.send(request(1)());
    const content = () =>
      Buffer.concat(peer.frames.filter(({ type }) => type === FRAME.data).map(({ payload }) => payload));
    await expect.poll(() => content().toString()).toBe("an");
    // Below zero by what is sent: it has to come up to there first.
    peer.send(settings(4, 0)(), window(1, 2)(), window(1, 1)());
    await expect.poll(() => content().toString()).toBe("ans");
    await answers(peer, 1, settings(4, 10));
  });

  it("6.7: PING is answered; answers that nobody asked for are not", async () => {
    const peer = await client(
      bytes(FRAME.ping, ack, 0, Buffer.alloc(8, 9)),
      bytes(FRAME.ping, none, 0, Buffer.alloc(8, 1)),
    );
    const pongs = () => peer.frames.filter(({ type }) => type === FRAME.ping);
    await expect.poll(() => pongs().length).toBe(1);
    await answers(peer, 1, request(1));
    expect(pongs()).toMatchObject([{ flags: ack, payload: Buffer.alloc(8, 1) }]);
  });

  it("6.10: a block of several frames", async () => {
    const whole = block();
    const peer = await client(
      bytes(FRAME.headers, endStream, 1, whole.subarray(0, 20)),
      bytes(FRAME.continuation, none, 1, whole.subarray(20, 40)),
    );
    await answers(peer, 1, bytes(FRAME.continuation, endHeaders, 1, whole.subarray(40)));
  });
});

describe("8 messages", () => {
  const trailers =
    (stream: number, fields: Pairs, isWhole = true): Make =>
    () =>
      headersFrame(stream, fields, isWhole);
  const length = (value: number) => open(1, { "content-length": String(value) });

  it.each([
    ["8.1: a second head that does not end", [open(1), open(1)]],
    ["8.1: trailers with a pseudo-header", [open(1), trailers(1, [[":path", "/"]])]],
    ["8.1.1: a body longer than its length", [length(1), data(1, "test", endStream)]],
    ["8.1.1: frames longer than their length", [length(5), data(1, "test"), data(1, "test", endStream)]],
    ["8.1.1: a body shorter than its length", [length(5), data(1, "test", endStream)]],
    ["8.1.1: a body that trailers end before its length", [length(5), data(1, "test"), trailers(1, [["x", "y"]])]],
    ["8.2.1: a line's end in trailers", [open(1), trailers(1, [["x", "a\r\nb"]])]],
    ["8.2.2: a coding in trailers", [open(1), trailers(1, [["transfer-encoding", "chunked"]])]],
  ])("%s", async (_what, frames) => {
    await resets(ERROR.protocol, 1, ...frames);
  });

  it.each([":method", ":scheme", ":path", ":authority"])("8.3: %s twice", async (name) => {
    await resets(ERROR.protocol, 1, () => headersFrame(1, [...world.head(), [name, "/"]]));
  });

  it("8.1: trailers end a body", async () => {
    const peer = await client(request(1, { ":method": "POST", "content-length": "4" }, false), data(1, "test"));
    await answers(peer, 1, trailers(1, [["x-sum", "1"]]));
  });
});

describe("header compression (RFC 7541)", () => {
  const post = (text: string) => Buffer.from(text, "hex");

  it("4.2: a table that was made smaller is said in the next block, and in no other", async () => {
    const peer = await client(settings(1, 0), request(1));
    await peer.answer(1);
    peer.send(request(3)());
    await peer.answer(3);
    const blocks = peer.frames
      .filter(({ type }) => type === FRAME.headers)
      .map(({ payload }) => payload.subarray(0, 2).toString("hex"));
    expect(blocks[0]).toBe("2088");
    expect(blocks[1]?.startsWith("88")).toBe(true);
  });

  it("4.2: a table larger than announced, or changed amid a block", async () => {
    await ends(ERROR.compression, bytes(FRAME.headers, WHOLE, 1, post("3fe2ff3f82")));
    await ends(ERROR.compression, bytes(FRAME.headers, WHOLE, 1, post("8220")));
  });

  it("6.1: an index of no entry, and of none at all", async () => {
    await ends(ERROR.compression, bytes(FRAME.headers, WHOLE, 1, post("be")));
    await ends(ERROR.compression, bytes(FRAME.headers, WHOLE, 1, post("80")));
  });

  it("a block that comes again means what its table says by then", async () => {
    const entry = (value: string) =>
      Buffer.concat([Buffer.from([0x40, 4]), Buffer.from("x-is"), Buffer.from([value.length]), Buffer.from(value)]);
    const seen: (string | undefined)[] = [];
    await using echo = await startWorld({
      app: (incoming, response) => {
        seen.push(String(incoming.headers["x-is"]));
        response.end("answer");
      },
    });
    const head = () => headerBlock(echo.head());
    // The same octets each time: the last of them is the table's newest entry.
    const again = () => Buffer.concat([head(), Buffer.from([0x80 | 62])]);
    const peer = await echo.peer();
    const ask = async (stream: number, payload: Buffer) => {
      peer.send(frame(FRAME.headers, WHOLE, stream, payload));
      expect(await peer.answer(stream)).toMatchObject({ status: 200 });
    };
    await ask(1, Buffer.concat([head(), entry("one")]));
    await ask(3, again());
    await ask(5, again());
    await ask(7, Buffer.concat([head(), entry("two")]));
    await ask(9, again());
    expect(seen).toEqual(["one", "one", "one", "two", "two"]);
  });
});
