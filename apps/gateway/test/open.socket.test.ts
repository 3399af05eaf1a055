// Connections into sandboxes through the open socket: statuses, bytes both ways, half-close, the end of an instance.
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { connect, createServer } from "node:net";
import type { Duplex } from "node:stream";
import { INIT_PORT } from "@sallyport/contracts";
import { openPort } from "@sallyport/dataplane";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startFakeInit } from "./fake-init.ts";
import { addressOf, eventually, Harness, idOf } from "./harness.ts";

let harness: Harness;
let init: Awaited<ReturnType<typeof startFakeInit>>;
let service: Server;

beforeAll(async () => {
  harness = await Harness.start();
  init = await startFakeInit((connection) => connection.greet());
  service = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    // Answers only once the question has ended: without half-close it never would.
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => socket.end(Buffer.concat([Buffer.from("got "), ...chunks])));
  });
  service.listen(0, "127.0.0.1");
  await once(service, "listening");
  await harness.attach({ number: 1, ...init });
  harness.ports.set(`${addressOf(1)}:8080`, (service.address() as AddressInfo).port);
  harness.ports.set(`${addressOf(1)}:8081`, 1);
});

afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await init[Symbol.asyncDispose]();
  service.close();
});

function open(port: number, more: { grantPort?: number; number?: number; sandbox?: number } = {}): Promise<Duplex> {
  const { number = 1 } = more;
  const ids = { instanceId: idOf("in", number), sandboxId: idOf("sb", more.sandbox ?? number) };
  return openPort(harness.config.openSocket, { ...ids, port, grantPort: more.grantPort ?? port });
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What the socket answers to these bytes. */
async function raw(text: string): Promise<string> {
  const socket = connect({ path: harness.config.openSocket, allowHalfOpen: true });
  socket.on("error", () => socket.destroy());
  socket.write(text);
  return (await readAll(socket)).toString();
}

describe("the open socket", () => {
  it("refuses before the instance is open", async () => {
    await expect(open(8080)).rejects.toMatchObject({ code: "NotReady" });
    await harness.open(1);
  });

  it("carries bytes both ways, with half-close and back-pressure", async () => {
    const stream = await open(8080);
    const question = Buffer.alloc(8 * 1024 * 1024, "q");
    stream.end(question);
    const answer = await readAll(stream);
    expect(answer.length).toBe(question.length + 4);
    expect(answer.subarray(0, 6).toString()).toBe("got qq");
  });

  it.each([
    ["NotGranted", 8080, { grantPort: 8081 }],
    ["NotGranted", INIT_PORT, {}],
    ["NotFound", 8080, { number: 2 }],
    ["NotFound", 8080, { sandbox: 2 }],
    ["NothingListens", 8081, {}],
  ])("answers %s for port %i (%#)", async (code, port, more) => {
    await expect(open(port, more)).rejects.toMatchObject({ code });
  });

  const authority = `${idOf("in", 1)}.${idOf("sb", 1)}:8080`;
  it.each([
    ["without a grant", `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`, 403],
    ["another method", `GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`, 400],
    ["another version", `CONNECT ${authority} HTTP/1.0\r\nHost: ${authority}\r\n\r\n`, 400],
    ["another host", `CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
    ["no head", "\r\n\r\n", 400],
    ["a head without end", `CONNECT ${authority} HTTP/1.1\r\nX: ${"a".repeat(5_000)}`, 400],
    ["the same header twice", `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nHost: ${authority}\r\n\r\n`, 400],
  ])("answers %s with a status", async (_what, text, status) => {
    expect(await raw(text)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it("goes on after clients that leave at any moment", async () => {
    for (const text of ["", "CONN", `CONNECT ${authority} HTTP/1.1\r\n`]) {
      const socket = connect(harness.config.openSocket);
      socket.on("error", () => socket.destroy());
      socket.write(text);
      await once(socket, "connect");
      socket.destroy();
    }
    const stream = await open(8080);
    stream.end("x");
    expect((await readAll(stream)).toString()).toBe("got x");
  });

  it("cuts connections when the instance is detached, and says that it has ended", async () => {
    const stream = await open(8080);
    const ended = once(stream.resume(), "end");
    await harness.detach(1);
    await ended;
    stream.destroy();
    await expect(open(8080)).rejects.toMatchObject({ code: "Ended" });
    await eventually("the end of the link", () => init.connections() === 0);
  });
});
