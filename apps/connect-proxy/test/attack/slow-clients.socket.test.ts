// Clients that take their time, say half of it, or speak no TLS: bounded each, and nobody else suffers.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Place } from "./place.ts";
import { plainAnswer } from "./raw-app.ts";
import { RawClient, say } from "./raw-client.ts";
import { readAnswers, statusOf, targetOf } from "./strict-http.ts";

/** Short, but long enough for whoever hurries on a busy machine. */
const BOUNDS = {
  SALLYPORT_CONNECT_HANDSHAKE_MS: "3000",
  SALLYPORT_CONNECT_HEAD_MS: "1500",
  SALLYPORT_CONNECT_IDLE_MS: "1500",
  SALLYPORT_CONNECT_STALL_MS: "1500",
};
const CROWD = 150;
const FLOOD = 64 * 1_024 * 1_024;
/** What kernel, TLS and streams may hold between an app and a client that does not read: far less than the flood. */
const HELD = 24 * 1_024 * 1_024;

let place: Place;
let token: string;

beforeAll(async () => {
  place = await Place.start(BOUNDS);
  token = await place.token(place.a);
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

const request = (target = "/canary") =>
  place.fill(`GET ${target} HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n`, place.a, token);

/** Somebody else is served meanwhile. */
async function sing(): Promise<void> {
  using client = await RawClient.connect(place, place.a.name);
  client.send(request());
  expect((await client.answer()).body.toString()).toContain(" /canary 0 ");
}

async function raw(bytes: Buffer): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: place.port });
  socket.on("error", () => socket.destroy()); // the proxy may reset: that is an end, too
  await once(socket, "connect");
  socket.write(bytes);
  socket.resume();
  return socket;
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, "close");
}

/** A real ClientHello, of which a part is sent. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = connectTls({ host: "127.0.0.1", port, servername: place.a.name });
  client.on("error", () => client.destroy()); // nobody answers it
  const [peer] = (await once(server, "connection")) as [Socket];
  const [hello] = (await once(peer, "data")) as [Buffer];
  client.destroy();
  peer.destroy();
  server.close();
  return hello;
}

describe("what is no TLS", () => {
  it("is ended, whatever it is, and others are served meanwhile", async () => {
    const hello = await clientHello();
    const garbage: Record<string, Buffer> = {
      nothing: Buffer.alloc(0),
      "one byte": Buffer.from([0x16]),
      "half a record's head": hello.subarray(0, 3),
      "half a ClientHello": hello.subarray(0, hello.length / 2),
      "a ClientHello, and no more": hello,
      "a ClientHello twice": Buffer.concat([hello, hello]),
      "a ClientHello with its length bent": Buffer.concat([
        hello.subarray(0, 3),
        Buffer.from([0xff, 0xff]),
        hello.subarray(5),
      ]),
      "plain HTTP": Buffer.from(request()),
      "the preface of HTTP/2": Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      SSH: Buffer.from("SSH-2.0-OpenSSH_9.2\r\n"),
      zeros: Buffer.alloc(1_000_000),
      noise: randomBytes(100_000),
      "SSL 2": Buffer.from("802e0100020015000000100100800200800600400400800000", "hex"),
      "an alert": Buffer.from("15030100020228", "hex"),
      "endless records": Buffer.concat(
        Array.from({ length: 50 }, () => Buffer.concat([Buffer.from([0x16, 3, 1, 0x40, 0]), Buffer.alloc(0x4000)])),
      ),
    };
    const sockets = await Promise.all(Object.values(garbage).map(raw));
    await sing();
    await Promise.all(sockets.map(closed));
    await sing();
  });

  it("names a host that is none of ours, or none: an alert, and no certificate", async () => {
    for (const servername of [
      "evil.example",
      "localhost",
      "x.localhost",
      `x.${place.a.name}`,
      `${place.a.name}.evil.example`,
      "127.0.0.1x",
      "",
    ]) {
      const socket = connectTls({
        host: "127.0.0.1",
        port: place.port,
        rejectUnauthorized: false,
        ...(servername === "" ? {} : { servername }),
      });
      const outcome = await Promise.race([
        once(socket, "secureConnect").then(() => "a certificate"),
        once(socket, "close").then(() => "closed"),
      ]).catch((error: unknown) => String(error));
      socket.destroy();
      expect(outcome, servername).toMatch(/alert/i);
    }
  });
});

describe("slow clients", () => {
  it("are let go, and a crowd of them keeps nobody out", async () => {
    const half = request().slice(0, -10);
    const crowd = await Promise.all(
      Array.from({ length: CROWD }, async (_, index) => {
        const client = await RawClient.connect(place, place.a.name);
        if (index % 3 === 1) client.send(half);
        if (index % 3 === 2)
          client.send(
            `POST / HTTP/1.1\r\nHost: ${place.a.host}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 10\r\n\r\nhal`,
          );
        return client;
      }),
    );
    await sing();
    await Promise.all(crowd.map((client) => client.until(() => client.ending !== undefined)));
    for (const [index, client] of crowd.entries()) {
      const { messages, problem } = readAnswers(client.received, ["GET"], true);
      expect(problem).toBeUndefined();
      // Silence gets silence; who began to speak is told.
      if (index % 3 !== 0) expect(messages.map(statusOf)).toEqual([408]);
      client[Symbol.dispose]();
    }
    await sing();
  });

  it("that send a head byte by byte do not gain time by it", async () => {
    using client = await RawClient.connect(place, place.a.name);
    const bytes = request();
    let sent = 0;
    const drip = setInterval(() => {
      if (sent < bytes.length - 5) client.send(bytes[sent++] ?? "");
    }, 20);
    try {
      await client.until(() => client.ending !== undefined);
    } finally {
      clearInterval(drip);
    }
    expect(readAnswers(client.received, ["GET"], true).messages.map(statusOf)).toEqual([408]);
    expect(sent).toBeLessThan(bytes.length - 5);
  });

  it("that do not read an answer hold a bounded part of it, and are let go", async () => {
    let sent = 0;
    place.a.app.program = (asked, { socket }, app) => {
      if (targetOf(asked) !== "/flood") {
        socket.write(plainAnswer(app, asked), "latin1");
        return;
      }
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${FLOOD}\r\n\r\n`);
      const piece = Buffer.alloc(65_536, "f");
      const pour = () => {
        while (sent < FLOOD) {
          sent += piece.length;
          if (!socket.write(piece)) {
            socket.once("drain", pour);
            return;
          }
        }
      };
      pour();
    };
    const client = await RawClient.connect(place, place.a.name);
    client.socket.pause();
    client.send(request("/flood"));
    await sing();
    const appSide = () =>
      place.a.app.connections.find(({ messages }) => messages.some((message) => targetOf(message) === "/flood"));
    // The proxy gives up on it, and says so to the app by closing.
    await expect.poll(() => appSide()?.ended, { timeout: 20_000 }).toBe(true);
    expect(sent).toBeLessThan(HELD);
    client[Symbol.dispose]();
    await sing();
  });

  it("that read slowly get every byte, in order", async () => {
    const body = randomBytes(2_000_000).toString("base64");
    place.a.app.program = (_asked, { socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    };
    const clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.connect(place, place.a.name)));
    const breathe = setInterval(() => {
      for (const { socket } of clients) {
        if (socket.isPaused()) socket.resume();
        else socket.pause();
      }
    }, 5);
    try {
      for (const client of clients) client.send(request("/slow"));
      for (const client of clients) expect((await client.answer()).body.toString()).toBe(body);
    } finally {
      clearInterval(breathe);
      for (const client of clients) client[Symbol.dispose]();
    }
  });

  it("that close their half still get their answer", async () => {
    place.a.app.program = (asked, { socket }, app) =>
      setTimeout(() => socket.write(plainAnswer(app, asked), "latin1"), 50);
    const { received } = await say(place, place.a.name, request());
    expect(readAnswers(received, ["GET"], true).messages.map(statusOf)).toEqual([200]);
  });
});
