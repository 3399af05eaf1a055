// RFC 9113 by its sections, in the manner of h2spec: raw bytes of a client, a relay, and a server of Node behind it.
import { once } from "node:events";
import type { Http2Server } from "node:http2";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  ERROR_CODE,
  encodeHeaders,
  FLAG,
  FRAME,
  headersFrames,
  PREFACE,
  settingsFrame,
} from "@sallyport/dataplane/http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Peer } from "../../test/h2-peer.ts";
import { raw, rawClient, request, requestFields, SETTINGS_ACK, startedClient } from "../../test/h2-peer.ts";
import type { Place } from "../../test/h2-place.ts";
import { startPlace } from "../../test/h2-place.ts";

let server: Http2Server;
let place: Place;

beforeAll(async () => {
  server = createServer((incoming, outgoing) => {
    incoming.resume();
    incoming.on("error", () => undefined);
    if (incoming.url === "/slow") return;
    incoming.on("end", () => outgoing.end("answer"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  place = await startPlace({ one: (server.address() as AddressInfo).port });
});

afterAll(async () => {
  await place[Symbol.asyncDispose]();
  server.close();
});

type Code = keyof typeof ERROR_CODE;
const { ack, endHeaders, endStream, padded, priority } = FLAG;
const WHOLE = endHeaders | endStream;

/** The block of a request, as bytes. */
const block = (more?: Readonly<Record<string, string | undefined>>) => encodeHeaders(requestFields(more));
const open = (streamId: number, more?: Readonly<Record<string, string>>) =>
  request(streamId, { ":path": "/slow", ...more }, false);
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

async function client(...frames: readonly Buffer[]): Promise<Peer> {
  const peer = await startedClient(place);
  return peer.send(SETTINGS_ACK, ...frames);
}

/** The connection is ended with this code. */
async function ends(code: Code, ...frames: readonly Buffer[]): Promise<void> {
  expect(await (await client(...frames)).code(FRAME.goaway)).toBe(ERROR_CODE[code]);
}

/** The stream is reset with this code, and the connection goes on. */
async function resets(code: Code, streamId: number, ...frames: readonly Buffer[]): Promise<void> {
  const peer = await client(...frames);
  expect(await peer.code(FRAME.rstStream, streamId)).toBe(ERROR_CODE[code]);
  await answers(peer.send(request(streamId + 2)), streamId + 2);
}

/** A whole answer comes. */
async function answers(peer: Peer, streamId: number): Promise<void> {
  const head = await peer.next(FRAME.headers, streamId);
  expect(peer.decode(head)).toMatchObject({ ":status": "200" });
  let flags = 0;
  while ((flags & endStream) === 0) {
    const frame = await peer.next(FRAME.data, streamId);
    expect(frame).toBeDefined();
    flags = frame?.flags ?? endStream;
  }
}

describe("3.4 the preface", () => {
  it("is answered by SETTINGS as the first frame", async () => {
    const peer = await rawClient(place);
    expect(await peer.find(() => true)).toMatchObject({ type: FRAME.settings, flags: 0 });
  });

  it.each(["INVALID CONNECTION PREFACE\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0"])(
    "is not %j",
    async (text) => {
      const peer = await rawClient(place);
      expect(await peer.send(Buffer.from(text)).code(FRAME.goaway)).toBe(ERROR_CODE.PROTOCOL_ERROR);
    },
  );

  it("may come byte by byte", async () => {
    const peer = await rawClient(place);
    for (const byte of PREFACE) peer.send(Buffer.from([byte]));
    await answers(peer.send(settingsFrame([]), request(1)), 1);
  });

  it.each([
    ["PING", raw(FRAME.ping, 0, 0, Buffer.alloc(8))],
    ["HEADERS", request(1)],
    ["an acknowledgement", SETTINGS_ACK],
  ])("is not followed by %s", async (_what, frame) => {
    const peer = await rawClient(place);
    expect(await peer.send(PREFACE, frame).code(FRAME.goaway)).toBe(ERROR_CODE.PROTOCOL_ERROR);
  });
});

describe("4 frames", () => {
  it("4.1: unknown types, undefined flags and the reserved bit are ignored", async () => {
    const ping = raw(FRAME.ping, 0xfe, 0, Buffer.from("h2spec  "));
    ping[5] = 0x80;
    const peer = await client(raw(0x16, 0xff, 0, "x"), raw(0x17, 1, 9, "y"), ping);
    expect(await peer.next(FRAME.ping)).toMatchObject({ flags: ack, payload: Buffer.from("h2spec  ") });
  });

  it("4.2: frames of 16,384 bytes are taken", async () => {
    const peer = await client(
      request(1, { ":method": "POST" }, false),
      raw(FRAME.data, endStream, 1, Buffer.alloc(16_384)),
    );
    await answers(peer, 1);
  });

  it.each([
    ["DATA", Buffer.concat([open(1), raw(FRAME.data, 0, 1, Buffer.alloc(16_385))])],
    ["HEADERS", raw(FRAME.headers, WHOLE, 1, Buffer.alloc(16_385))],
    ["an unknown frame", raw(0xaa, 0, 0, Buffer.alloc(16_385))],
  ])("4.2: %s of 16,385 bytes is too long", async (_what, bytes) => {
    await ends("FRAME_SIZE_ERROR", bytes);
  });

  it("4.3: a block that cannot be decoded", async () => {
    await ends("COMPRESSION_ERROR", raw(FRAME.headers, WHOLE, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])));
  });

  it.each([
    ["PRIORITY", raw(FRAME.priority, 0, 1, Buffer.alloc(5))],
    ["another stream's HEADERS", request(3)],
    ["an unknown frame", raw(0x20, 0, 0)],
    ["DATA", raw(FRAME.data, 0, 1, "x")],
  ])("4.3: a block that %s interrupts", async (_what, frame) => {
    await ends("PROTOCOL_ERROR", raw(FRAME.headers, endStream, 1, block()), frame);
  });
});

describe("5.1 states", () => {
  it.each([
    ["idle", "DATA", [raw(FRAME.data, 0, 1, "x")], "PROTOCOL_ERROR"],
    ["idle", "RST_STREAM", [raw(FRAME.rstStream, 0, 1, u32(8))], "PROTOCOL_ERROR"],
    ["idle", "WINDOW_UPDATE", [raw(FRAME.windowUpdate, 0, 1, u32(1))], "PROTOCOL_ERROR"],
    ["idle", "CONTINUATION", [raw(FRAME.continuation, endHeaders, 1, block())], "PROTOCOL_ERROR"],
    ["half-closed", "DATA", [request(1, { ":path": "/slow" }), raw(FRAME.data, 0, 1, "x")], "STREAM_CLOSED"],
    ["half-closed", "HEADERS", [request(1, { ":path": "/slow" }), request(1)], "STREAM_CLOSED"],
    [
      "half-closed",
      "CONTINUATION",
      [request(1, { ":path": "/slow" }), raw(FRAME.continuation, endHeaders, 1)],
      "PROTOCOL_ERROR",
    ],
    ["reset", "DATA", [open(1), raw(FRAME.rstStream, 0, 1, u32(8)), raw(FRAME.data, 0, 1, "x")], "STREAM_CLOSED"],
    ["reset", "HEADERS", [open(1), raw(FRAME.rstStream, 0, 1, u32(8)), request(1)], "STREAM_CLOSED"],
    [
      "reset",
      "CONTINUATION",
      [open(1), raw(FRAME.rstStream, 0, 1, u32(8)), raw(FRAME.continuation, endHeaders, 1)],
      "PROTOCOL_ERROR",
    ],
  ] as const)("%s: %s", async (_state, _what, frames, code) => {
    await ends(code, ...frames);
  });

  it.each([
    ["DATA", raw(FRAME.data, 0, 1, "x"), "STREAM_CLOSED"],
    ["HEADERS", request(1), "STREAM_CLOSED"],
    ["CONTINUATION", raw(FRAME.continuation, endHeaders, 1), "PROTOCOL_ERROR"],
  ] as const)("ended: %s", async (_what, frame, code) => {
    const peer = await client(request(1));
    await answers(peer, 1);
    expect(await peer.send(frame).code(FRAME.goaway)).toBe(ERROR_CODE[code]);
  });

  it.each([
    ["PRIORITY", raw(FRAME.priority, 0, 1, Buffer.alloc(5))],
    ["WINDOW_UPDATE", raw(FRAME.windowUpdate, 0, 1, u32(1))],
    ["RST_STREAM", raw(FRAME.rstStream, 0, 1, u32(8))],
  ])("ended: %s is ignored", async (_what, frame) => {
    const peer = await client(request(1));
    await answers(peer, 1);
    await answers(peer.send(frame, request(3)), 3);
  });

  it("5.1.1: even numbers are not a client's", async () => {
    await ends("PROTOCOL_ERROR", request(2));
  });

  it("5.1.1: numbers go up", async () => {
    await ends("PROTOCOL_ERROR", request(5), request(3));
  });

  it("5.1.2: more streams than announced are refused", async () => {
    const few = await startPlace({ one: (server.address() as AddressInfo).port }, { limits: { maxStreams: 3 } });
    const peer = await startedClient(few);
    expect((await peer.next(FRAME.settings))?.payload.toString("hex")).toContain("000300000003");
    peer.send(open(1), open(3), open(5), open(7));
    expect(await peer.code(FRAME.rstStream, 7)).toBe(ERROR_CODE.REFUSED_STREAM);
    peer.send(raw(FRAME.rstStream, 0, 1, u32(8)), request(9));
    await answers(peer, 9);
    await few[Symbol.asyncDispose]();
  });

  it("5.3.1: no stream depends on itself", async () => {
    await ends(
      "PROTOCOL_ERROR",
      raw(FRAME.headers, WHOLE | priority, 1, Buffer.concat([u32(1), Buffer.from([9]), block()])),
    );
    await ends("PROTOCOL_ERROR", raw(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 1, 9])));
  });

  it("5.4.1: the connection is closed behind GOAWAY", async () => {
    const peer = await client(raw(FRAME.ping, 0, 1, Buffer.alloc(8)));
    expect(await peer.code(FRAME.goaway)).toBe(ERROR_CODE.PROTOCOL_ERROR);
    expect(await peer.find(() => true)).toBeUndefined();
    expect(peer.isOver).toBe(true);
  });
});

describe("6 frames by their types", () => {
  it.each([
    ["6.1: DATA of no stream", [raw(FRAME.data, 0, 0, "x")], "PROTOCOL_ERROR"],
    ["6.1: DATA with too much padding", [open(1), raw(FRAME.data, padded, 1, Buffer.from([9, 1]))], "PROTOCOL_ERROR"],
    ["6.2: HEADERS of no stream", [raw(FRAME.headers, WHOLE, 0, block())], "PROTOCOL_ERROR"],
    [
      "6.2: HEADERS with too much padding",
      [raw(FRAME.headers, WHOLE | padded, 1, Buffer.from([9, 1]))],
      "PROTOCOL_ERROR",
    ],
    ["6.3: PRIORITY of no stream", [raw(FRAME.priority, 0, 0, Buffer.alloc(5))], "PROTOCOL_ERROR"],
    ["6.3: PRIORITY of six bytes", [raw(FRAME.priority, 0, 1, Buffer.alloc(6))], "FRAME_SIZE_ERROR"],
    ["6.4: RST_STREAM of no stream", [raw(FRAME.rstStream, 0, 0, u32(8))], "PROTOCOL_ERROR"],
    ["6.4: RST_STREAM of three bytes", [open(1), raw(FRAME.rstStream, 0, 1, Buffer.alloc(3))], "FRAME_SIZE_ERROR"],
    ["6.5: SETTINGS of a stream", [raw(FRAME.settings, 0, 1)], "PROTOCOL_ERROR"],
    ["6.5: SETTINGS of three bytes", [raw(FRAME.settings, 0, 0, Buffer.alloc(3))], "FRAME_SIZE_ERROR"],
    ["6.5: an acknowledgement with settings", [raw(FRAME.settings, ack, 0, Buffer.alloc(6))], "FRAME_SIZE_ERROR"],
    ["6.5.2: pushes neither on nor off", [settingsFrame([[2, 2]])], "PROTOCOL_ERROR"],
    ["6.5.2: a window of 2^31", [settingsFrame([[4, 0x8000_0000]])], "FLOW_CONTROL_ERROR"],
    ["6.5.2: frames of 16,383 bytes", [settingsFrame([[5, 16_383]])], "PROTOCOL_ERROR"],
    ["6.5.2: frames of 2^24 bytes", [settingsFrame([[5, 0x100_0000]])], "PROTOCOL_ERROR"],
    ["6.6: PUSH_PROMISE of a client", [open(1), raw(FRAME.pushPromise, endHeaders, 1, u32(2))], "PROTOCOL_ERROR"],
    ["6.7: PING of a stream", [raw(FRAME.ping, 0, 1, Buffer.alloc(8))], "PROTOCOL_ERROR"],
    ["6.7: PING of six bytes", [raw(FRAME.ping, 0, 0, Buffer.alloc(6))], "FRAME_SIZE_ERROR"],
    ["6.8: GOAWAY of a stream", [raw(FRAME.goaway, 0, 1, Buffer.alloc(8))], "PROTOCOL_ERROR"],
    ["6.9: no increment of the connection", [raw(FRAME.windowUpdate, 0, 0, u32(0))], "PROTOCOL_ERROR"],
    ["6.9: no increment of a stream", [open(1), raw(FRAME.windowUpdate, 0, 1, u32(0))], "PROTOCOL_ERROR"],
    ["6.9: an increment of three bytes", [raw(FRAME.windowUpdate, 0, 0, Buffer.alloc(3))], "FRAME_SIZE_ERROR"],
    [
      "6.9.1: a window over 2^31-1",
      [raw(FRAME.windowUpdate, 0, 0, u32(0x7fff_ffff)), raw(FRAME.windowUpdate, 0, 0, u32(9))],
      "FLOW_CONTROL_ERROR",
    ],
    ["6.10: CONTINUATION behind the end", [open(1), raw(FRAME.continuation, endHeaders, 1, block())], "PROTOCOL_ERROR"],
    [
      "6.10: CONTINUATION behind DATA",
      [open(1), raw(FRAME.data, 0, 1, "x"), raw(FRAME.continuation, 0, 1)],
      "PROTOCOL_ERROR",
    ],
    [
      "6.10: CONTINUATION of no stream",
      [raw(FRAME.headers, 0, 1, block()), raw(FRAME.continuation, 0, 0)],
      "PROTOCOL_ERROR",
    ],
    [
      "6.10: CONTINUATION of another stream",
      [raw(FRAME.headers, 0, 1, block()), raw(FRAME.continuation, 0, 3)],
      "PROTOCOL_ERROR",
    ],
  ] as const)("%s", async (_what, frames, code) => {
    await ends(code, ...frames);
  });

  it("6.1, 6.2: padding and priority are taken", async () => {
    const bytes = Buffer.concat([
      Buffer.from([2]),
      u32(0),
      Buffer.from([9]),
      block({ ":method": "POST" }),
      Buffer.alloc(2),
    ]);
    const data = raw(FRAME.data, endStream | padded, 1, Buffer.from([3, 0x61, 0, 0, 0]));
    await answers(await client(raw(FRAME.headers, endHeaders | padded | priority, 1, bytes), data), 1);
  });

  it("6.5.3: settings are acknowledged", async () => {
    const peer = await client(
      settingsFrame([
        [4, 1],
        [0xff, 7],
      ]),
    );
    const isAck = ({ flags, type }: { flags: number; type: number }) => type === FRAME.settings && flags === ack;
    expect(await peer.find(isAck)).toBeDefined();
    expect(await peer.find(isAck)).toBeDefined();
  });

  it("6.5.3, 6.9.2: an initial window that changes amid an answer", async () => {
    const peer = await startedClient(place, settingsFrame([[4, 2]]));
    peer.send(request(1));
    expect((await peer.next(FRAME.data, 1))?.payload.toString()).toBe("an");
    peer.send(settingsFrame([[4, 4]]));
    expect((await peer.next(FRAME.data, 1))?.payload.toString()).toBe("sw");
  });

  it("6.7: PING is answered by the sandbox; answers that nobody asked for are not handed on", async () => {
    const peer = await client(raw(FRAME.ping, ack, 0, Buffer.alloc(8, 9)), raw(FRAME.ping, 0, 0, Buffer.alloc(8, 1)));
    expect(await peer.next(FRAME.ping)).toMatchObject({ flags: ack, payload: Buffer.alloc(8, 1) });
  });

  it("6.9: the window is kept to", async () => {
    const peer = await startedClient(place, settingsFrame([[4, 0]]));
    peer.send(request(1));
    await peer.next(FRAME.headers, 1);
    peer.send(raw(FRAME.windowUpdate, 0, 1, u32(1)));
    expect((await peer.next(FRAME.data, 1))?.payload.toString()).toBe("a");
  });

  it("6.10: a block of several frames", async () => {
    const frames = headersFrames(1, block({ "x-long": "y".repeat(100) }), true, 20);
    await answers(await client(frames), 1);
  });
});

describe("8 messages", () => {
  const post = { ":method": "POST", ":path": "/slow" };
  it.each([
    ["8.2: upper-case names", { "X-Test": "a" }],
    ["8.2.2: Connection", { connection: "keep-alive" }],
    ["8.2.2: TE beyond trailers", { te: "trailers, deflate" }],
    ["8.3: an unknown pseudo-header", { ":test": "a" }],
    ["8.3: a pseudo-header of answers", { ":status": "200" }],
    ["8.3.1: no method", { ":method": undefined }],
    ["8.3.1: no scheme", { ":scheme": undefined }],
    ["8.3.1: no path", { ":path": undefined }],
    ["8.3.1: an empty path", { ":path": "" }],
    ["8.1.1: a length without a body", { "content-length": "1" }],
    ["8441: a protocol that is not offered", { ":method": "CONNECT", ":protocol": "websocket" }],
  ])("%s", async (_what, fields) => {
    await resets("PROTOCOL_ERROR", 1, request(1, fields));
  });

  it.each([":method", ":scheme", ":path", ":authority"])("8.3: %s twice", async (name) => {
    const twice = [...requestFields(), { name, value: "/", sensitive: false }];
    await resets("PROTOCOL_ERROR", 1, headersFrames(1, encodeHeaders(twice), true, 16_384));
  });

  it("8.3: a pseudo-header behind a field", async () => {
    const fields = [{ name: "x", value: "y", sensitive: false }, ...requestFields()];
    await resets("PROTOCOL_ERROR", 1, headersFrames(1, encodeHeaders(fields), true, 16_384));
  });

  it.each([
    ["8.1: a second head that does not end", [open(1, post), open(1, post)]],
    ["8.1: trailers with a pseudo-header", [open(1, post), raw(FRAME.headers, WHOLE, 1, block())]],
    [
      "8.1.1: a body longer than its length",
      [open(1, { ...post, "content-length": "1" }), raw(FRAME.data, endStream, 1, "test")],
    ],
    [
      "8.1.1: frames longer than their length",
      [
        open(1, { ...post, "content-length": "5" }),
        raw(FRAME.data, 0, 1, "test"),
        raw(FRAME.data, endStream, 1, "test"),
      ],
    ],
    [
      "8.1.1: a body shorter than its length",
      [open(1, { ...post, "content-length": "5" }), raw(FRAME.data, endStream, 1, "test")],
    ],
  ])("%s", async (_what, frames) => {
    await ends("PROTOCOL_ERROR", ...frames);
  });

  it("8.1: trailers end a body", async () => {
    const trailers = encodeHeaders([{ name: "x-sum", value: "1", sensitive: false }]);
    const head = request(1, { ":method": "POST", "content-length": "4" }, false);
    await answers(await client(head, raw(FRAME.data, 0, 1, "test"), headersFrames(1, trailers, true, 16_384)), 1);
  });
});
