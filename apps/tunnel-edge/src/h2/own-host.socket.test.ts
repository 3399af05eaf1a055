// Law 26: streams for another host get nothing but 421, and a sandbox says nothing about other hosts.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { ERROR_CODE, FLAG, FRAME, SETTING, settingsFrame } from "@sallyport/dataplane/http2";
import { afterEach, describe, expect, it } from "vitest";
import type { Peer, RawServer } from "../../test/h2-peer.ts";
import { answer, raw, rawServer, request, SETTINGS_ACK, settledEnds } from "../../test/h2-peer.ts";
import type { Place } from "../../test/h2-place.ts";
import { DOMAIN, HOST, startPlace } from "../../test/h2-place.ts";

const cleanUps: AsyncDisposableStack[] = [];
const OTHER = `two.${DOMAIN}`;

afterEach(async () => {
  for (const stack of cleanUps.splice(0)) await stack.disposeAsync();
});

function stack(): AsyncDisposableStack {
  const made = new AsyncDisposableStack();
  cleanUps.push(made);
  return made;
}

/** Two servers of Node under two hosts of one certificate; each says its name and what it got. */
async function twoTunnels(): Promise<{ place: Place; seen: string[] }> {
  const clean = stack();
  const seen: string[] = [];
  const ports = await Promise.all(
    ["one", "two"].map(async (name) => {
      const server = createServer((incoming, outgoing) => {
        seen.push(`${name} ${incoming.headers[":authority"]}${incoming.url}`);
        const hash = createHash("sha256");
        incoming.on("data", (piece: Buffer) => hash.update(piece));
        incoming.on("end", () => outgoing.end(`${name} ${hash.digest("hex")}`));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      clean.defer(() => void server.close());
      return [name, (server.address() as AddressInfo).port] as const;
    }),
  );
  return { place: clean.use(await startPlace(Object.fromEntries(ports))), seen };
}

function session(place: Place): ClientHttp2Session {
  const made = connect(`https://${HOST}:${place.port}`, {
    ca: place.ca,
    servername: HOST,
    lookup: (_name, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
  });
  stack().defer(() => made.destroy());
  return made;
}

async function ask(
  client: ClientHttp2Session,
  headers: Record<string, string>,
  body?: Buffer,
): Promise<{ status: number | undefined; text: string }> {
  const stream = client.request({ ":path": "/", ":method": body === undefined ? "GET" : "POST", ...headers });
  stream.end(body);
  const [head] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status"?: number }];
  let text = "";
  for await (const piece of stream) text += String(piece);
  return { status: head[":status"], text };
}

async function rawEnds(): Promise<{ client: Peer; sandbox: Peer; server: RawServer; place: Place }> {
  const clean = stack();
  const server = clean.use(await rawServer());
  const place = clean.use(await startPlace({ one: server.port }));
  const { client, sandbox } = await settledEnds(place, server);
  clean.defer(() => void client.socket.destroy());
  return { client, sandbox, server, place };
}

describe("a client that uses one connection for two hosts of a certificate", () => {
  it("gets answers of the one, and 421 for the other", async () => {
    const { place, seen } = await twoTunnels();
    const client = session(place);
    const other = `${OTHER}:${place.port}`;
    const sha = createHash("sha256").digest("hex");
    expect(await ask(client, { ":authority": HOST })).toEqual({ status: 200, text: `one ${sha}` });
    expect(await ask(client, { ":authority": other, ":path": "/secret" })).toEqual({ status: 421, text: "" });
    expect(await ask(client, { ":authority": `${HOST.toUpperCase()}:${place.port}` })).toMatchObject({ status: 200 });
    expect(seen).toEqual([`one ${HOST}/`, `one ${HOST.toUpperCase()}:${place.port}/`]);
  });

  it("goes on with a hundred streams of both at once", async () => {
    const { place, seen } = await twoTunnels();
    const client = session(place);
    const asked = Array.from({ length: 100 }, async (_, at) => {
      const body = randomBytes(20_000 + at);
      const mine = at % 2 === 0;
      const got = await ask(client, { ":authority": mine ? HOST : OTHER }, mine ? body : undefined);
      const text = mine ? `one ${createHash("sha256").update(body).digest("hex")}` : "";
      expect(got).toEqual({ status: mine ? 200 : 421, text });
    });
    await Promise.all(asked);
    expect(new Set(seen)).toEqual(new Set([`one ${HOST}/`]));
    expect(seen).toHaveLength(50);
  });

  it("is not stalled by large bodies of refused streams", async () => {
    const { place } = await twoTunnels();
    const client = session(place);
    // Together more than the connection's window, which the sandbox never updates for them.
    for (let count = 0; count < 8; count += 1) {
      const stream = client.request({ ":method": "POST", ":path": "/", ":authority": OTHER });
      stream.on("error", () => undefined);
      stream.write(randomBytes(1_000_000));
      const [head] = (await once(stream, "response")) as [{ ":status"?: number }];
      expect(head[":status"]).toBe(421);
      stream.close();
    }
    const body = randomBytes(1_000_000);
    const sha = createHash("sha256").update(body).digest("hex");
    expect(await ask(client, { ":authority": HOST }, body)).toEqual({ status: 200, text: `one ${sha}` });
  });
});

describe("whose host a stream is for", () => {
  it.each([
    ["another host", { ":authority": OTHER }],
    ["another port", { ":authority": `${HOST}:1` }],
    ["an empty port", { ":authority": `${HOST}:` }],
    ["a port with a zero before it", { ":authority": `${HOST}:0443` }],
    ["a longer name", { ":authority": `x.${HOST}` }],
    ["a name that goes on", { ":authority": `${HOST}.example` }],
    ["two final dots", { ":authority": `${HOST}..` }],
    ["another host by Host alone", { ":authority": undefined, host: OTHER }],
    ["another scheme", { ":scheme": "http" }],
    [
      "another scheme's origin by CONNECT",
      { ":method": "CONNECT", ":scheme": undefined, ":path": undefined, ":authority": "10.0.0.1:80" },
    ],
  ])("%s is answered 421, and nothing of it goes on", async (_what, fields) => {
    const { client, sandbox } = await rawEnds();
    client.send(request(1, fields), request(3));
    const refusal = await client.next(FRAME.headers, 1);
    expect(client.decode(refusal)).toEqual({ ":status": "421", "content-length": "0" });
    expect(refusal?.flags).toBe(FLAG.endStream | FLAG.endHeaders);
    expect(await sandbox.find(({ type }) => type === FRAME.headers)).toMatchObject({ streamId: 3 });
  });

  it.each([
    ["the name", { ":authority": HOST }],
    ["the name in upper case with a final dot", { ":authority": `${HOST.toUpperCase()}.` }],
    ["the name by Host alone", { ":authority": undefined, host: HOST }],
  ])("%s is its own", async (_what, fields) => {
    const { client, sandbox } = await rawEnds();
    client.send(request(1, fields));
    expect(sandbox.decode(await sandbox.next(FRAME.headers, 1))).toMatchObject({ ":path": "/" });
  });

  it.each([
    ["Host that is another's", { host: OTHER }],
    ["no host", { ":authority": undefined }],
    ["user information", { ":authority": `me@${HOST}` }],
  ])("%s is malformed", async (_what, fields) => {
    const { client, sandbox } = await rawEnds();
    client.send(request(1, fields), request(3));
    expect(await client.code(FRAME.rstStream, 1)).toBe(ERROR_CODE.PROTOCOL_ERROR);
    expect(await sandbox.find(({ type }) => type === FRAME.headers)).toMatchObject({ streamId: 3 });
  });
});

describe("a refused stream", () => {
  it("is followed by nothing: body, trailers, window and reset of it go nowhere, its bytes are given back", async () => {
    const { client, sandbox } = await rawEnds();
    const other = { ":authority": OTHER, ":method": "POST" };
    client.send(request(1, other, false), raw(FRAME.data, 0, 1, Buffer.alloc(10_000)));
    expect(await client.code(FRAME.rstStream, 1)).toBe(ERROR_CODE.NO_ERROR);
    expect((await client.next(FRAME.windowUpdate))?.payload.readUInt32BE()).toBe(10_000);
    client.send(raw(FRAME.windowUpdate, 0, 1, Buffer.from([0, 0, 0, 9])), raw(FRAME.rstStream, 0, 1, Buffer.alloc(4)));
    client.send(request(3));
    const about = await sandbox.find(({ type }) => type !== FRAME.settings);
    expect(about).toMatchObject({ type: FRAME.headers, streamId: 3 });
  });

  it("cannot be answered by the sandbox all the same", async () => {
    const { client, place, sandbox } = await rawEnds();
    client.send(request(1, { ":authority": OTHER }), request(3));
    await sandbox.next(FRAME.headers, 3);
    sandbox.send(answer(1));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.INTERNAL_ERROR);
    expect(client.frames).toEqual([]);
    client.socket.end();
    expect(await place.relays[0]?.done).toMatchObject({ end: "sandbox-error", streams: 1, refusedStreams: 1 });
  });

  it("leaves the tables of both directions alone", async () => {
    const { client, sandbox } = await rawEnds();
    // A field that is indexed on a refused stream, and said by its index on the next one.
    const indexed = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from("x"), Buffer.from([1]), Buffer.from("y")]);
    const refused = Buffer.concat([request(1, { ":authority": OTHER }).subarray(9), indexed]);
    client.send(raw(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, refused));
    const next = Buffer.concat([request(3).subarray(9), Buffer.from([0xbe])]);
    client.send(raw(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, next));
    expect(sandbox.decode(await sandbox.next(FRAME.headers, 3))).toMatchObject({ x: "y" });
    sandbox.send(
      raw(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, Buffer.concat([Buffer.from([0x88]), indexed])),
    );
    expect(client.decode(await client.next(FRAME.headers, 1))[":status"]).toBe("421");
    expect(client.decode(await client.next(FRAME.headers, 3))).toMatchObject({ x: "y" });
    client.send(request(5, { ":authority": OTHER }), request(7));
    await sandbox.next(FRAME.headers, 7);
    sandbox.send(raw(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 7, Buffer.from([0x88, 0xbe])));
    expect(client.decode(await client.next(FRAME.headers, 5))[":status"]).toBe("421");
    expect(client.decode(await client.next(FRAME.headers, 7))).toMatchObject({ x: "y" });
  });

  it("is answered with the table size that the client was promised, once the sandbox has acknowledged it", async () => {
    const { client, sandbox } = await rawEnds();
    client.send(settingsFrame([[SETTING.headerTableSize, 100]]));
    expect((await sandbox.next(FRAME.settings))?.payload.toString("hex")).toBe("000200000000" + "000100000064");
    sandbox.send(SETTINGS_ACK);
    await client.next(FRAME.settings);
    client.send(request(1, { ":authority": OTHER }));
    const block = (await client.next(FRAME.headers, 1))?.payload;
    expect(block?.subarray(0, 2)).toEqual(Buffer.from([0x3f, 100 - 31]));
  });

  it("waits for the end of the sandbox's header block", async () => {
    const { client, sandbox } = await rawEnds();
    client.send(request(1));
    await sandbox.next(FRAME.headers, 1);
    sandbox.send(raw(FRAME.headers, FLAG.endStream, 1, Buffer.from([0x88])));
    await client.next(FRAME.headers, 1);
    client.send(request(3, { ":authority": OTHER }), raw(FRAME.ping, 0, 0, Buffer.alloc(8)));
    await sandbox.next(FRAME.ping);
    expect(client.frames).toEqual([]);
    sandbox.send(raw(FRAME.continuation, FLAG.endHeaders, 1));
    expect(await client.find(() => true)).toMatchObject({ type: FRAME.continuation, streamId: 1 });
    expect(await client.find(() => true)).toMatchObject({ type: FRAME.headers, streamId: 3 });
  });
});

describe("what is said of other hosts", () => {
  const origin = Buffer.from(`\0\x18https://${OTHER}`, "latin1");
  it.each([
    ["ORIGIN", FRAME.origin, 0],
    ["ALTSVC", FRAME.altsvc, 0],
    ["ALTSVC of a stream", FRAME.altsvc, 1],
    ["an unknown frame", 0xf7, 0],
    ["PRIORITY_UPDATE", 0x10, 0],
  ])("%s goes neither way", async (_what, type, streamId) => {
    const { client, sandbox } = await rawEnds();
    client.send(request(1), raw(type, 0, streamId, origin), raw(FRAME.ping, 0, 0, Buffer.alloc(8, 1)));
    await sandbox.next(FRAME.headers, 1);
    expect(await sandbox.find(({ type: one }) => one !== FRAME.settings)).toMatchObject({ type: FRAME.ping });
    sandbox.send(raw(type, 0, streamId, origin), raw(FRAME.ping, 0, 0, Buffer.alloc(8, 2)));
    const seen = await client.find(({ type: one }) => one !== FRAME.settings);
    expect(seen).toMatchObject({ type: FRAME.ping, flags: 0 });
  });

  it("a push is the end of the connection", async () => {
    const { client, sandbox } = await rawEnds();
    client.send(request(1));
    await sandbox.next(FRAME.headers, 1);
    sandbox.send(raw(FRAME.pushPromise, FLAG.endHeaders, 1, Buffer.from([0, 0, 0, 2, 0x82])));
    expect(await client.code(FRAME.goaway)).toBe(ERROR_CODE.INTERNAL_ERROR);
    expect(await sandbox.code(FRAME.goaway)).toBe(ERROR_CODE.PROTOCOL_ERROR);
  });
});
