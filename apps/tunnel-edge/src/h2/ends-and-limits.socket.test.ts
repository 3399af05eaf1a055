// How a relay ends, in good order and otherwise, and what a client or a sandbox cannot do as often as it likes.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { ERROR_CODE, encodeHeaders, FLAG, FRAME, headersFrames, settingsFrame } from "@sallyport/dataplane/http2";
import { afterEach, describe, expect, it } from "vitest";
import type { Peer, RawServer } from "../../test/h2-peer.ts";
import {
  answer,
  raw,
  rawClient,
  rawServer,
  request,
  requestFields,
  SETTINGS_ACK,
  settledEnds,
  startedClient,
} from "../../test/h2-peer.ts";
import type { Place, PlaceOptions } from "../../test/h2-place.ts";
import { startPlace } from "../../test/h2-place.ts";

let cleanUp = new AsyncDisposableStack();

afterEach(async () => {
  await cleanUp.disposeAsync();
  cleanUp = new AsyncDisposableStack();
});

async function start(options: PlaceOptions = {}): Promise<{ place: Place; server: RawServer }> {
  const server = cleanUp.use(await rawServer());
  // Time stands still: what a second gives back is not what is tried here.
  const place = cleanUp.use(await startPlace({ one: server.port }, { now: () => 0, ...options }));
  return { place, server };
}

async function ends(options: PlaceOptions = {}): Promise<{ client: Peer; sandbox: Peer; place: Place }> {
  const { place, server } = await start(options);
  return { ...(await settledEnds(place, server)), place };
}

const cancel = (streamId: number) => raw(FRAME.rstStream, 0, streamId, Buffer.from([0, 0, 0, ERROR_CODE.CANCEL]));
const ping = raw(FRAME.ping, 0, 0, Buffer.alloc(8));

describe("a client that asks for too much", () => {
  const many = (frame: Buffer, count: number) => Array.from({ length: count }, () => frame);
  it.each([
    ["PINGs", ping],
    ["SETTINGS", settingsFrame([])],
    ["PRIORITY", raw(FRAME.priority, 0, 9, Buffer.alloc(5))],
    ["unknown frames", raw(0x99, 0, 0)],
    ["ORIGIN", raw(FRAME.origin, 0, 0)],
    ["GOAWAY", raw(FRAME.goaway, 0, 0, Buffer.alloc(8))],
    ["empty DATA", raw(FRAME.data, 0, 1)],
    ["empty DATA with padding", raw(FRAME.data, FLAG.padded, 1, Buffer.from([3, 0, 0, 0]))],
  ])("sends %s without end", async (_what, frame) => {
    const { client } = await ends({ limits: { controlBurst: 50 } });
    client.send(request(1, { ":method": "POST" }, false), ...many(frame, 60));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.ENHANCE_YOUR_CALM);
  });

  it("resets streams as fast as it begins them (CVE-2023-44487)", async () => {
    const { client, place } = await ends({ limits: { resetBurst: 20 } });
    const pairs = Array.from({ length: 30 }, (_, at) => [request(2 * at + 1), cancel(2 * at + 1)]);
    client.send(...pairs.flat());
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.ENHANCE_YOUR_CALM);
    client.socket.end();
    expect(await place.relays[0]?.done).toMatchObject({ end: "client-error", streams: 21 });
  });

  it("has its streams reset here by what it sends (CVE-2025-8671)", async () => {
    const { client } = await ends({ limits: { resetBurst: 20 } });
    client.send(...Array.from({ length: 30 }, (_, at) => request(2 * at + 1, { connection: "x" })));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.ENHANCE_YOUR_CALM);
  });

  it("has its streams reset by the sandbox for what it sends", async () => {
    const { client, sandbox } = await ends({ limits: { resetBurst: 20 } });
    client.send(...Array.from({ length: 30 }, (_, at) => request(2 * at + 1)));
    await sandbox.next(FRAME.headers, 59);
    for (let at = 0; at < 30; at += 1) {
      sandbox.send(raw(FRAME.rstStream, 0, 2 * at + 1, Buffer.from([0, 0, 0, ERROR_CODE.FLOW_CONTROL_ERROR])));
    }
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.ENHANCE_YOUR_CALM);
  });

  it("begins streams for other hosts without end", async () => {
    const { client } = await ends({ limits: { maxRefusedStreams: 20 } });
    client.send(...Array.from({ length: 30 }, (_, at) => request(2 * at + 1, { ":authority": "other.example" })));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.ENHANCE_YOUR_CALM);
  });

  it("continues a header block without end, by nothing (CVE-2024-27316)", async () => {
    const { client } = await ends();
    client.send(raw(FRAME.headers, 0, 1), ...many(raw(FRAME.continuation, 0, 1), 40));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.ENHANCE_YOUR_CALM);
  });

  it("continues a header block without end, by more and more", async () => {
    const { client } = await ends();
    client.send(raw(FRAME.headers, 0, 1), ...many(raw(FRAME.continuation, 0, 1, Buffer.alloc(16_384)), 5));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.ENHANCE_YOUR_CALM);
  });

  it("does not acknowledge settings", async () => {
    const { client, sandbox } = await ends();
    sandbox.send(...many(settingsFrame([]), 40));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.INTERNAL_ERROR);
  });

  it("sends a header list that is small only as long as it is compressed: 431", async () => {
    const { client, sandbox } = await ends();
    const name = Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e, ...Buffer.alloc(4_000, "y")]);
    const bomb = Buffer.concat([encodeHeaders(requestFields()), name, Buffer.alloc(1_000, 0xbe)]);
    client.send(raw(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, bomb), request(3));
    expect(client.decode(await client.next(FRAME.headers, 1))[":status"]).toBe("431");
    expect(await sandbox.find(({ type }) => type === FRAME.headers)).toMatchObject({ streamId: 3 });
  });

  it("does not read what it asks for", async () => {
    const limits = { maxWaitingBytes: 50_000, maxRefusedStreams: 1e6, controlBurst: 1e6 };
    const { place, server } = await start({ limits });
    const client = await startedClient(place);
    await server.accept();
    client.socket.pause();
    const relay = place.relays[0];
    let isOver = false;
    void relay?.done.then(() => {
      isOver = true;
    });
    const block = encodeHeaders(requestFields({ ":authority": "other.example" }));
    const answered = raw(FRAME.headers, FLAG.endHeaders, 1, block);
    for (let streamId = 1; !isOver; streamId += 8_000) {
      const batch = Buffer.alloc(4_000 * answered.length, answered);
      for (let at = 0; at < 4_000; at += 1) batch.writeUInt32BE(streamId + 2 * at, at * answered.length + 5);
      client.send(batch);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await relay?.done).toMatchObject({
      end: "client-error",
      problem: "the client does not read what it asks for",
    });
  });
});

describe("an end in good order", () => {
  it("lets open streams come to their end, and new ones begin until the client has heard of it", async () => {
    const { client, place, sandbox } = await ends();
    client.send(request(1));
    await sandbox.next(FRAME.headers, 1);
    place.relays[0]?.drain();
    expect((await client.next(FRAME.goaway))?.payload.toString("hex")).toBe("7fffffff00000000");
    const asked = await client.next(FRAME.ping);
    client.send(request(3));
    await sandbox.next(FRAME.headers, 3);
    client.send(raw(FRAME.ping, FLAG.ack, 0, asked?.payload ?? ""), request(5));
    expect((await client.next(FRAME.goaway))?.payload.toString("hex")).toBe("0000000300000000");
    expect(await client.code(FRAME.rstStream, 5)).toBe(ERROR_CODE.REFUSED_STREAM);
    sandbox.send(answer(1), answer(3));
    expect(await client.next(FRAME.headers, 3)).toBeDefined();
    expect(await client.find(() => true)).toBeUndefined();
    client.socket.end();
    expect(await place.relays[0]?.done).toMatchObject({ end: "drained", streams: 2, refusedStreams: 1 });
  });

  it("follows the sandbox's, whose last stream stays the last", async () => {
    const { client, place, sandbox } = await ends();
    client.send(request(1), request(3));
    await sandbox.next(FRAME.headers, 3);
    sandbox.send(raw(FRAME.goaway, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])));
    expect((await client.next(FRAME.goaway))?.payload.toString("hex")).toBe("0000000100000000");
    place.relays[0]?.drain();
    expect((await client.next(FRAME.goaway))?.payload.toString("hex")).toBe("0000000100000000");
  });

  it("hands the client's GOAWAY on", async () => {
    const { client, sandbox } = await ends();
    client.send(raw(FRAME.goaway, 0, 0, Buffer.alloc(8)));
    expect(await sandbox.code(FRAME.goaway)).toBe(ERROR_CODE.NO_ERROR);
  });

  it("hands the client's end on, and the rest of the answers back", async () => {
    const { client, place, sandbox } = await ends();
    client.send(request(1));
    await sandbox.next(FRAME.headers, 1);
    client.socket.end();
    await once(sandbox.socket, "end");
    sandbox.send(answer(1, false), raw(FRAME.data, FLAG.endStream, 1, "late"));
    sandbox.socket.end();
    expect((await client.next(FRAME.data, 1))?.payload.toString()).toBe("late");
    expect(await place.relays[0]?.done).toMatchObject({ end: "ended" });
  });

  it("resets what is reset, both ways", async () => {
    const { client, sandbox } = await ends();
    client.send(request(1), request(3, {}, false), cancel(1));
    expect(await sandbox.code(FRAME.rstStream, 1)).toBe(ERROR_CODE.CANCEL);
    // An answer to it may be under way: its block is part of what later blocks stand on.
    sandbox.send(answer(1), raw(FRAME.rstStream, 0, 3, Buffer.from([0, 0, 0, ERROR_CODE.REFUSED_STREAM])));
    expect(await client.next(FRAME.headers, 1)).toBeDefined();
    expect(await client.code(FRAME.rstStream, 3)).toBe(ERROR_CODE.REFUSED_STREAM);
    // And a body to it: the sandbox has to count it.
    client.send(raw(FRAME.data, 0, 3, "late"), headersFrames(3, encodeHeaders([]), true, 16_384), ping);
    expect((await sandbox.next(FRAME.data, 3))?.payload.toString()).toBe("late");
    expect(await sandbox.find(() => true)).toMatchObject({ type: FRAME.ping });
  });
});

describe("a sandbox that does not speak HTTP/2 as it should", () => {
  it.each([
    ["HTTP/1.1", Buffer.from("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")],
    ["something else first", raw(FRAME.ping, 0, 0, Buffer.alloc(8))],
    ["an acknowledgement first", SETTINGS_ACK],
    ["a stream of its own", Buffer.concat([settingsFrame([]), answer(2)])],
    ["an answer that nobody asked for", Buffer.concat([settingsFrame([]), answer(1)])],
    ["a body that nobody asked for", Buffer.concat([settingsFrame([]), raw(FRAME.data, 0, 7, "x")])],
    ["a window of a stream that is none", Buffer.concat([settingsFrame([]), raw(FRAME.windowUpdate, 0, 7, "abcd")])],
    ["a reset of a stream that is none", Buffer.concat([settingsFrame([]), raw(FRAME.rstStream, 0, 7, "abcd")])],
    ["pushes turned on", settingsFrame([[2, 1]])],
    ["CONTINUATION of nothing", Buffer.concat([settingsFrame([]), raw(FRAME.continuation, 0, 1)])],
    ["a frame that is too long", Buffer.concat([settingsFrame([]), raw(FRAME.data, 0, 1, Buffer.alloc(16_385))])],
    ["more acknowledgements than settings", Buffer.concat([settingsFrame([]), SETTINGS_ACK, SETTINGS_ACK])],
  ])("but %s", async (_what, bytes) => {
    const { place, server } = await start();
    const client = await startedClient(place);
    const sandbox = await server.accept(false);
    await sandbox.next(FRAME.settings);
    sandbox.send(bytes);
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.INTERNAL_ERROR);
    client.socket.end();
    expect(await place.relays[0]?.done).toMatchObject({ end: "sandbox-error" });
  });

  it("but closes: the client hears why", async () => {
    const { client, place, sandbox } = await ends();
    client.send(request(1));
    await sandbox.next(FRAME.headers, 1);
    sandbox.socket.end();
    const last = await client.next(FRAME.goaway);
    expect(last?.payload.subarray(8).toString()).toBe("the sandbox ended the connection");
    client.socket.end();
    expect(await place.relays[0]?.done).toMatchObject({ end: "ended" });
  });

  it("but nothing listens, or it breaks", async () => {
    const place = cleanUp.use(await startPlace({}));
    const client = await rawClient(place);
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.INTERNAL_ERROR);
    expect(await place.relays[0]?.done).toMatchObject({ end: "broken" });
  });

  it("but nothing at all", async () => {
    const { place, server } = await start({ limits: { handshakeMs: 50 } });
    const client = await startedClient(place);
    await server.accept(false);
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.SETTINGS_TIMEOUT);
    expect(await place.relays[0]?.done).toMatchObject({ end: "handshake-timeout" });
  });
});

describe("a client that goes", () => {
  it("takes its connection to the sandbox with it", async () => {
    const { client, place, sandbox } = await ends();
    client.send(request(1));
    await sandbox.next(FRAME.headers, 1);
    client.socket.destroy();
    expect(await sandbox.find(() => false)).toBeUndefined();
    // It answers nobody.
    for (let at = 0; at < 10; at += 1) sandbox.send(answer(1, at === 9));
    expect(["broken", "ended"]).toContain((await place.relays[0]?.done)?.end);
  });

  it("is gone when nothing comes for long", async () => {
    let now = 0;
    const { place } = await ends({ idleMs: 40, now: () => now });
    now = 41;
    expect(await place.relays[0]?.done).toMatchObject({ end: "idle" });
  });

  it("never says its settings", async () => {
    const { place } = await start({ limits: { handshakeMs: 50 } });
    const client = await rawClient(place);
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.SETTINGS_TIMEOUT);
  });

  it("is sent away at once when that is asked for", async () => {
    const { client, place } = await ends();
    place.relays[0]?.destroy();
    expect(await place.relays[0]?.done).toMatchObject({ end: "destroyed" });
    expect(await client.find(() => false)).toBeUndefined();
  });
});

describe("a client that does not read", () => {
  it("holds the sandbox back, and gets everything once it reads", async () => {
    const { client, sandbox } = await ends();
    client.send(request(1));
    await sandbox.next(FRAME.headers, 1);
    client.socket.pause();
    sandbox.send(answer(1, false));
    const sent = createHash("sha256");
    let count = 0;
    while (sandbox.socket.writableLength < 8_000_000 && count < 10_000) {
      const piece = randomBytes(16_384);
      sent.update(piece);
      sandbox.send(raw(FRAME.data, 0, 1, piece));
      count += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What was held back is with the sender, and not in the relay.
    expect(sandbox.socket.writableLength).toBeGreaterThanOrEqual(8_000_000);
    sandbox.send(raw(FRAME.data, FLAG.endStream, 1));
    client.socket.resume();
    const got = createHash("sha256");
    for (let at = 0; at < count; at += 1) got.update((await client.next(FRAME.data, 1))?.payload ?? "");
    expect(got.digest("hex")).toBe(sent.digest("hex"));
    expect(await client.next(FRAME.data, 1)).toMatchObject({ flags: FLAG.endStream });
  });
});

describe("settings", () => {
  it("go on without what is not for the other side", async () => {
    const { place, server } = await start();
    const client = await startedClient(
      place,
      settingsFrame([
        [1, 100],
        [2, 1],
        [3, 5],
        [4, 70_000],
        [5, 20_000],
        [6, 9_000],
        [8, 1],
        [0xa0a, 3],
      ]),
    );
    const sandbox = await server.accept(false);
    const seen = (await sandbox.next(FRAME.settings))?.payload.toString("hex");
    expect(seen).toBe("000200000000" + "000100000064" + "000400011170" + "000600002328");
    sandbox.send(
      settingsFrame([
        [1, 0],
        [3, 1_000],
        [4, 70_000],
        [5, 20_000],
        [6, 9_000_000],
        [8, 1],
        [9, 1],
      ]),
    );
    await client.next(FRAME.settings);
    const passed = (await client.next(FRAME.settings))?.payload.toString("hex");
    expect(passed).toBe("000300000100" + "000400011170" + "000600010000" + "000800000001");
    client.send(request(1, { ":method": "CONNECT", ":protocol": "websocket" }, false));
    expect(sandbox.decode(await sandbox.next(FRAME.headers, 1))).toMatchObject({ ":protocol": "websocket" });
  });

  it("of the sandbox's header table change nothing: the first block says that none is used", async () => {
    const { client, sandbox } = await ends();
    sandbox.send(settingsFrame([[1, 0]]));
    client.send(request(1), request(3));
    expect((await sandbox.next(FRAME.headers, 1))?.payload[0]).toBe(0x20);
    expect((await sandbox.next(FRAME.headers, 3))?.payload[0]).toBe(0x82);
  });
});
