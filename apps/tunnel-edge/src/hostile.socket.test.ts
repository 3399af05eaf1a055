// Clients that say every byte themselves: odd hellos that are sound, hellos that are not, and those who say nothing.
import { once } from "node:events";
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hostOf, readAll, route, World } from "../test/world.ts";

let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.app(80, (socket) => void socket.pipe(socket));
  world.api.tell({ routes: [route(1, [{ port: 80 }])] });
});

afterEach(() => world[Symbol.asyncDispose]());

async function start(settings: Record<string, string> = {}): Promise<number> {
  const { port } = await world.edge(settings);
  await world.api.settled();
  return port;
}

/** The same handshake message in records of so many bytes each (RFC 8446, section 5.1). */
function inRecordsOf(bytes: number, hello: Buffer): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += bytes) {
    const piece = message.subarray(at, at + bytes);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 0xff]), piece);
  }
  return Buffer.concat(records);
}

/** A socket whose first piece is changed, and sent some bytes at a time. */
class Changed extends Duplex {
  readonly #socket: Socket;
  readonly #change: (hello: Buffer) => Buffer;
  readonly #atOnce: number;
  #isFirst = true;

  constructor(socket: Socket, change: (hello: Buffer) => Buffer, atOnce: number) {
    super();
    this.#socket = socket;
    this.#change = change;
    this.#atOnce = atOnce;
    socket.on("data", (piece: Buffer) => this.push(piece));
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
  }

  override _read(): void {
    // What comes is pushed as it comes.
  }

  override _write(piece: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const bytes = this.#isFirst ? this.#change(piece) : piece;
    const atOnce = this.#isFirst ? this.#atOnce : bytes.length;
    this.#isFirst = false;
    void (async () => {
      for (let at = 0; at < bytes.length; at += atOnce) {
        this.#socket.write(bytes.subarray(at, at + atOnce));
        await turn();
      }
      done();
    })();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }
}

/** The first bytes of a client that wants this host. */
async function helloOf(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const client = connect({ host: "127.0.0.1", port: address.port, servername });
  client.on("error", () => client.destroy());
  const [socket] = (await once(server, "connection")) as [Socket];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

/** What the edge says to bytes, until the connection is over. */
async function answerTo(port: number, bytes: Buffer): Promise<Buffer> {
  const client = await world.dialRaw(port, "127.0.0.1");
  client.write(bytes);
  return (await readAll(client)).bytes;
}

describe("a sound hello", () => {
  it.each([
    ["in pieces of one byte", (hello: Buffer) => hello, 1],
    ["in records of one byte", (hello: Buffer) => inRecordsOf(1, hello), 4_096],
    ["in records of 100 bytes and pieces of 7", (hello: Buffer) => inRecordsOf(100, hello), 7],
  ])("%s leads to its tunnel", async (_how, change, atOnce) => {
    const port = await start();
    const transport = await world.dialRaw(port, "127.0.0.1");
    const client = world.dial(port, hostOf(80), { socket: new Changed(transport, change, atOnce) });
    client.end("hello");
    expect((await buffer(client)).toString()).toBe("hello");
  });

  it("with a share of a key that withstands quantum computers, or none, leads there too", async () => {
    const port = await start();
    for (const ecdhCurve of ["X25519MLKEM768:X25519", "P-256", "X25519"]) {
      const client = world.dial(port, hostOf(80), { ecdhCurve });
      client.end("hello");
      expect((await buffer(client)).toString()).toBe("hello");
    }
  });
});

describe("what is no sound hello", () => {
  it("is refused, and never reaches the sandbox", async () => {
    const port = await start();
    const hello = await helloOf(hostOf(80));
    const name = Buffer.from(hostOf(80));
    const at = hello.indexOf(name);
    const renamed = (to: string) =>
      Buffer.concat([hello.subarray(0, at), Buffer.from(to), hello.subarray(at + name.length)]);
    const unknown = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
    // As long as the name that it takes the place of: an address, another's label, a wildcard, a NUL, spaces.
    for (const text of ["127.0.0.1", "*", "\0", " ", `tn-${"0".repeat(25)}1`]) {
      const other = (text + name.toString("latin1").slice(text.length)).slice(0, name.length);
      expect(await answerTo(port, renamed(other)), JSON.stringify(other)).toEqual(unknown);
    }
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      Buffer.from("SSH-2.0-x\r\n"),
      Buffer.alloc(300, 0xff),
      hello.subarray(5),
      Buffer.concat([hello.subarray(0, 40), Buffer.alloc(17_500)]),
    ]) {
      const answer = await answerTo(port, bytes);
      expect(answer.length === 7 || answer.toString().startsWith("HTTP/1.1 400")).toBe(true);
    }
    expect(world.gateway.requests).toEqual([]);
  });
});

describe("who says nothing", () => {
  it("keeps nobody out, and is gone after a while", async () => {
    const port = await start({ SALLYPORT_TUNNEL_HANDSHAKE_MS: "300", SALLYPORT_TUNNEL_HANDSHAKES: "8" });
    const silent = await Promise.all(
      Array.from({ length: 32 }, async () => await world.dialRaw(port, "127.0.0.1", "127.0.0.9")),
    );
    const hello = await helloOf(hostOf(80));
    for (const [number, client] of silent.entries()) {
      client.on("error", () => client.destroy());
      client.resume();
      client.write(hello.subarray(0, number * 3));
    }
    const client = world.dial(port, hostOf(80));
    client.end("hello");
    expect((await buffer(client)).toString()).toBe("hello");
    await vi.waitFor(async () => expect(await world.metrics()).toMatch(/^sallyport_tunnel_connections 0$/m), 5_000);
  });
});
