// Opening and relaying over real sockets: half-close, back-pressure, breaks, deadlines.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { formatConnectAnswer } from "./connect-request.ts";
import { openPort } from "./open.ts";
import { openPortDirect } from "./open-direct.ts";
import { readHead } from "./read-head.ts";
import { relay } from "./relay.ts";

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** Two ends of one TCP connection. */
async function socketPair(): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  for (const socket of [near, far]) socket.on("error", () => socket.destroy());
  cleanUps.push(
    () => near.destroy(),
    () => far.destroy(),
    () => server.close(),
  );
  return [near, far];
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Lets megabytes pile up before it reads on. */
async function readWithRests(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let [bytes, rested] = [0, 0];
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes - rested < 6 * 1024 * 1024) continue;
    rested = bytes;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return Buffer.concat(chunks);
}

/** A gateway's socket that answers every request with this text. */
async function answering(answer: string | undefined): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-dataplane-"));
  const path = join(directory, "open.sock");
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => {
      if (answer !== undefined) socket.end(answer);
    });
    cleanUps.push(() => socket.destroy());
  });
  server.listen(path);
  await once(server, "listening");
  cleanUps.push(
    () => rm(directory, { recursive: true }),
    () => server.close(),
  );
  return path;
}

const TARGET = {
  instanceId: "in-01jz0000000000000000000001",
  sandboxId: "sb-01jz0000000000000000000002",
  port: 80,
  grantPort: 80,
};

describe("relay", () => {
  it("carries both ways, counts, and ends with the second half", async () => {
    const [client, left] = await socketPair();
    const [right, service] = await socketPair();
    const running = relay(left, right);
    const question = Buffer.alloc(3 * 1024 * 1024, "q");
    client.end(question);
    expect((await readAll(service)).equals(question)).toBe(true);
    service.end("the answer");
    expect((await readAll(client)).toString()).toBe("the answer");
    expect(await running).toEqual({ end: "ended", forwardBytes: question.length, backwardBytes: 10 });
    expect(left.destroyed && right.destroyed).toBe(true);
  });

  it("holds the sender back while the receiver rests", async () => {
    const [client, left] = await socketPair();
    const [right, service] = await socketPair();
    const stop = new AbortController();
    const running = relay(left, right, { signal: stop.signal });
    const chunk = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < 64 && client.writableLength < 8 * chunk.length; sent += 1) {
      client.write(chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(client.writableLength).toBeGreaterThan(0);
    expect(right.writableLength).toBeLessThan(4 * chunk.length);
    expect(service.readableLength).toBe(0);
    stop.abort();
    expect((await running).end).toBe("aborted");
  });

  it("keeps every byte that waits for a receiver who rests again and again", async () => {
    const [client, left] = await socketPair();
    const [right, service] = await socketPair();
    const running = relay(left, right);
    const [question, answer] = [randomBytes(24 * 1024 * 1024), randomBytes(24 * 1024 * 1024)]; // no stretch is there twice
    client.end(question);
    service.end(answer);
    const [asked, answered] = await Promise.all([readWithRests(service), readWithRests(client)]);
    expect(asked.equals(question) && answered.equals(answer)).toBe(true);
    expect(await running).toEqual({ end: "ended", forwardBytes: question.length, backwardBytes: answer.length });
  });

  it("takes what came before, and streams that are over already", async () => {
    const [client, left] = await socketPair();
    const [right, service] = await socketPair();
    left.unshift(Buffer.from("early "));
    right.pause();
    const running = relay(left, right);
    client.end("and late");
    expect((await readAll(service)).toString()).toBe("early and late");
    service.end();
    expect((await running).end).toBe("ended");
    expect(await relay(left, right)).toEqual({ end: "broken", forwardBytes: 0, backwardBytes: 0 });
    expect((await relay(client, service, { signal: AbortSignal.abort() })).end).toBe("aborted");
  });

  it("cuts the other side when one breaks", async () => {
    const [client, left] = await socketPair();
    const [right, service] = await socketPair();
    const running = relay(left, right);
    const closed = once(service.resume(), "close");
    service.once("end", () => service.destroy());
    client.resetAndDestroy();
    expect((await running).end).toBe("broken");
    await closed;
  });

  it("ends when nothing flows, and not while something does", async () => {
    const [client, left] = await socketPair();
    const [right, service] = await socketPair();
    const running = relay(left, right, { idleMs: 200 });
    let heard = 0;
    service.on("data", (chunk) => {
      heard += chunk.length;
    });
    service.resume();
    for (let sent = 0; sent < 20; sent += 1) {
      client.write("x");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await running).toEqual({ end: "idle", forwardBytes: 20, backwardBytes: 0 });
    expect(heard).toBe(20);
  });
});

describe("openPort", () => {
  it("gives the bytes behind the answer", async () => {
    const stream = await openPort(await answering(`${formatConnectAnswer(200, "")}hello`), TARGET);
    expect((await readAll(stream)).toString()).toBe("hello");
    stream.destroy();
  });
});

describe("openPortDirect", () => {
  it("gives the bytes behind the answer, those that came early too, and keeps none of a slow taker's", async () => {
    const large = "0123456789abcdef".repeat(64 * 1_024);
    const { read, socket } = await openPortDirect(await answering(`${formatConnectAnswer(200, "")}${large}`), TARGET);
    const ended = once(socket, "end");
    const taken: Buffer[] = [];
    read((bytes) => {
      taken.push(bytes);
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    });
    socket.resume();
    await ended;
    expect(Buffer.concat(taken).toString() === large).toBe(true);
    socket.destroy();
  });
});

describe.each([
  ["openPort", openPort],
  ["openPortDirect", openPortDirect],
])("%s", (_name, open) => {
  it.each([
    ["BadRequest", formatConnectAnswer(400, "x")],
    ["NotGranted", formatConnectAnswer(403, "x")],
    ["NotFound", formatConnectAnswer(404, "x")],
    ["Ended", formatConnectAnswer(410, "x")],
    ["NothingListens", formatConnectAnswer(502, "x")],
    ["NotReady", formatConnectAnswer(503, "x")],
    ["GatewayUnavailable", "SSH-2.0-x\r\n\r\n"],
    ["GatewayUnavailable", "a".repeat(10_000)],
    ["GatewayUnavailable", ""],
  ])("rejects with %s (%#)", async (code, answer) => {
    await expect(open(await answering(answer), TARGET)).rejects.toMatchObject({ code });
  });

  it("rejects when nobody is there, when no answer comes, and when it is cancelled", async () => {
    const nowhere = join(tmpdir(), "no-such-folder", "open.sock");
    await expect(open(nowhere, TARGET)).rejects.toMatchObject({ code: "GatewayUnavailable" });
    const silent = await answering(undefined);
    await expect(open(silent, TARGET, { timeoutMs: 30 })).rejects.toMatchObject({ code: "Timeout" });
    const cancelled = AbortSignal.abort(new Error("mine"));
    await expect(open(silent, TARGET, { signal: cancelled })).rejects.toThrow("mine");
    const later = new AbortController();
    const opening = open(silent, TARGET, { signal: later.signal });
    later.abort(new Error("mine too"));
    await expect(opening).rejects.toThrow("mine too");
  });
});

describe("readHead", () => {
  it("does not mind how the bytes are cut, and leaves the rest", async () => {
    const [client, server] = await socketPair();
    const reading = readHead(server, 100, AbortSignal.timeout(5_000));
    for (const byte of "GET x\r\nA: b\r\n\r\nrest") {
      client.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await reading).toBe("GET x\r\nA: b");
    client.end();
    expect((await readAll(server)).toString()).toBe("rest");
  });

  it("tells of a head that is too large, and of one that never ends", async () => {
    const [client, server] = await socketPair();
    client.write("a".repeat(200));
    expect(await readHead(server, 100, AbortSignal.timeout(5_000))).toBeUndefined();
    const [other, second] = await socketPair();
    other.end("GET");
    expect(await readHead(second, 100, AbortSignal.timeout(5_000))).toBeUndefined();
  });
});
