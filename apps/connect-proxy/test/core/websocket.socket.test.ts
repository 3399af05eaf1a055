// WebSockets through the core: the handshake, the bytes, the end.
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { acceptOf } from "../../src/head/handshake.ts";
import type { Peer } from "./world.ts";
import { answering, head, INSTANCE_ID, ok, World } from "./world.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const HANDSHAKE = head(
  "GET /chat",
  "Connection: keep-alive, Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  `Sec-WebSocket-Key: ${KEY}`,
  "Sec-WebSocket-Protocol: a, b",
  "Sec-WebSocket-Extensions: permessage-deflate",
);

function switching(accept = acceptOf(KEY), ...fields: string[]): string {
  const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
  return `${[...lines, `Sec-WebSocket-Accept: ${accept}`, ...fields].join("\r\n")}\r\n\r\n`;
}

/** An app that takes the handshake, says `first`, and gives its socket and what comes to the test. */
function upgrading(first = "") {
  const taken = Promise.withResolvers<Socket>();
  const received: Buffer[] = [];
  const app = (socket: Socket) => {
    let isOpen = false;
    let text = "";
    socket.on("data", (data: Buffer) => {
      if (isOpen) received.push(data);
      else {
        text += data.toString("latin1");
        if (!text.includes("\r\n\r\n")) return;
        isOpen = true;
        socket.write(switching(acceptOf(KEY), "Sec-WebSocket-Protocol: b") + first, "latin1");
        taken.resolve(socket);
      }
    });
    socket.on("end", () => socket.end());
  };
  return { app, socket: taken.promise, received: () => Buffer.concat(received) };
}

function frame(payload: string | Buffer, masked = false): Buffer {
  const bytes = Buffer.from(payload);
  const mask = masked ? [0, 0, 0, 0] : [];
  const length = bytes.length < 126 ? [bytes.length] : [126, bytes.length >> 8, bytes.length & 255];
  length[0] = (length[0] ?? 0) | (masked ? 0x80 : 0);
  return Buffer.concat([Buffer.from([0x81, ...length, ...mask]), bytes]);
}

async function upgraded(world: World): Promise<Peer> {
  const peer = await world.connect();
  peer.send(HANDSHAKE);
  await peer.until("\r\n\r\n");
  return peer;
}

/** What came behind the head. */
function framesOf(peer: Peer): Buffer {
  return peer.bytes.subarray(peer.bytes.indexOf("\r\n\r\n") + 4);
}

describe("a handshake", () => {
  it("goes to the app as it is, and its answer comes back, with what follows at once", async () => {
    const requests: string[] = [];
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", (data: Buffer) => {
          requests.push(data.toString("latin1"));
          socket.write(
            switching(acceptOf(KEY), "Sec-WebSocket-Protocol: b") + frame("hello").toString("latin1"),
            "latin1",
          );
        });
      },
    });
    using peer = await world.connect();
    peer.send(HANDSHAKE);
    await peer.until("hello");
    expect(requests[0]).toContain("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    expect(requests[0]).toContain("Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n");
    expect(peer.text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(peer.text).toContain("Sec-WebSocket-Protocol: b\r\n");
    expect(peer.text).toContain("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    expect(world.front.webSockets).toBe(1);
  });

  it.each([
    ["the wrong Sec-WebSocket-Accept", switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")],
    ["no Sec-WebSocket-Accept", switching().replace(/Sec-WebSocket-Accept[^\r]*\r\n/, "")],
    ["two of them", switching(acceptOf(KEY), `Sec-WebSocket-Accept: ${acceptOf(KEY)}`)],
    ["another protocol", switching().replace("websocket", "h2c")],
    ["no Connection", switching().replace("Connection: Upgrade\r\n", "")],
  ])("that is answered by 101 with %s comes to nothing", async (_what, answer) => {
    await using world = await World.start({ app: answering(answer) });
    using peer = await world.connect();
    peer.send(HANDSHAKE);
    await peer.until("BadAnswer 8080");
    expect(peer.text).toMatch(/^HTTP\/1\.1 502 /);
    expect(world.front.webSockets).toBe(0);
  });

  it("that the app turns down is answered, and bytes that came too early are no request", async () => {
    const requests: string[] = [];
    await using world = await World.start({
      app: answering((request) => {
        requests.push(request);
        return ok("no");
      }),
    });
    using peer = await world.connect();
    peer.send(HANDSHAKE + head("GET /smuggled"));
    expect(await peer.ended).toBe("end");
    expect(peer.text).toMatch(/Connection: close\r\n\r\nno$/);
    expect(requests).toHaveLength(1);
  });

  it("has its early bytes passed on, once it is answered", async () => {
    const app = upgrading();
    await using world = await World.start({ app: app.app });
    using peer = await world.connect();
    peer.send(Buffer.concat([Buffer.from(HANDSHAKE), frame("early", true)]));
    await app.socket;
    while (app.received().length < 11) await new Promise((resolve) => setImmediate(resolve));
    expect(app.received()).toEqual(frame("early", true));
  });

  it.each([
    ["h2c", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]],
    ["websocket in part", ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]],
  ])("of %s is stripped", async (_what, fields) => {
    await using world = await World.start({ app: answering((request) => ok(request)) });
    const answer = await world.say(head("GET /", ...fields));
    expect(answer).toContain("HTTP/1.1 200 OK");
    expect(answer.slice(answer.indexOf("\r\n\r\n"))).not.toMatch(/^(upgrade|http2-settings):/im);
  });

  it("has no place beyond the sandbox's number", async () => {
    await using world = await World.start({ app: upgrading().app, limits: { maxWebSocketsPerSandbox: 1 } });
    using first = await upgraded(world);
    using second = await world.connect();
    second.send(HANDSHAKE);
    await second.until("TooManyWebSockets");
    first.socket.destroy();
    await world.over(2);
    while (world.front.webSockets > 0) await new Promise((resolve) => setImmediate(resolve));
    using third = await upgraded(world);
    expect(third.text).toContain("101");
  });
});

describe("the bytes", () => {
  it("go both ways untouched, past slow readers", async () => {
    const app = upgrading();
    await using world = await World.start({ app: app.app });
    using peer = await upgraded(world);
    const socket = await app.socket;
    const part = Buffer.alloc(60_000, "abcdefg");
    const sent = createHash("sha256");
    const got = createHash("sha256");
    let bytes = 0;
    const all = Promise.withResolvers<void>();
    const total = 300 * frame(part).length;
    peer.socket.removeAllListeners("data");
    peer.socket.on("data", (data: Buffer) => {
      got.update(data);
      bytes += data.length;
      peer.socket.pause();
      setTimeout(() => peer.socket.resume(), 1);
      if (bytes === total) all.resolve();
    });
    for (let index = 0; index < 300; index += 1) {
      sent.update(frame(part));
      if (!socket.write(frame(part))) await new Promise((resolve) => socket.once("drain", resolve));
    }
    await all.promise;
    expect(got.digest("hex")).toBe(sent.digest("hex"));
    peer.send(frame("up", true));
    while (app.received().length < 8) await new Promise((resolve) => setImmediate(resolve));
    expect(app.received()).toEqual(frame("up", true));
  });
});

describe("the end", () => {
  it.each(["Revoked", "Expired"])("comes by a close frame when the token is %s", async (problem) => {
    const app = upgrading();
    const end = problem === "Expired" ? { expiresAtMs: Date.now() + 1_500 } : {};
    await using world = await World.start({ app: app.app, ...end });
    using peer = await upgraded(world);
    const socket = await app.socket;
    socket.write(frame("hello"));
    await peer.until("hello");
    if (problem === "Revoked") {
      world.grantProblem = problem;
      world.change();
    }
    await peer.ended;
    const close = framesOf(peer).subarray(frame("hello").length);
    expect(close[0]).toBe(0x88);
    expect(close.readUInt16BE(2)).toBe(1008);
    expect(close.toString("latin1", 4)).toMatch(/^the connect token (has expired|is revoked)$/);
    await world.over(1);
    expect(world.ends[0]).toMatchObject({ protocol: "websocket", code: problem, status: 101 });
    expect(app.received()[0]).toBe(0x88);
  });

  it("comes by a cut in the midst of a frame", async () => {
    const app = upgrading();
    await using world = await World.start({ app: app.app });
    using peer = await upgraded(world);
    (await app.socket).write(frame("hello").subarray(0, 4));
    await peer.until("he");
    world.grantProblem = "Revoked";
    world.change();
    await peer.ended;
    expect(framesOf(peer)).toEqual(frame("hello").subarray(0, 4));
  });

  it("does not come by the token's where the operator lets it live", async () => {
    const app = upgrading();
    await using world = await World.start({ app: app.app, keepWebSockets: true });
    using peer = await upgraded(world);
    world.grantProblem = "Revoked";
    world.change();
    (await app.socket).write(frame("still here"));
    await peer.until("still here");
    world.grantProblem = "SandboxEnded";
    world.change();
    await peer.ended;
    expect(framesOf(peer).subarray(frame("still here").length).readUInt16BE(2)).toBe(1001);
  });

  it("comes with the sandbox's, the client's and the app's", async () => {
    for (const who of ["sandbox", "client", "app"]) {
      const app = upgrading();
      await using world = await World.start({ app: app.app });
      using peer = await upgraded(world);
      const socket = await app.socket;
      const closed = new Promise((resolve) => socket.on("close", resolve));
      if (who === "sandbox") world.door.cut(INSTANCE_ID);
      else if (who === "client") peer.socket.end();
      else socket.end();
      if (who !== "client") {
        await peer.ended;
        peer.socket.end();
      }
      await closed;
      await world.over(1);
      expect(world.front.webSockets).toBe(0);
    }
  });

  it("comes by 1001 when the proxy stops", async () => {
    const app = upgrading();
    await using world = await World.start({ app: app.app });
    using peer = await upgraded(world);
    world.front.drain();
    await peer.ended;
    expect(framesOf(peer).readUInt16BE(2)).toBe(1001);
  });
});
