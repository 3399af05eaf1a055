// Forward: a caller's connection to a port of its sandbox. Bytes both ways, halves, resets, limits, and callers that keep to
// no order.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { ForwardRequest, ForwardResponse } from "@sallyport/contracts";
import { INIT_PORT, MAX_CHUNK_BYTES } from "@sallyport/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MAX_CONNECTIONS_PER_INSTANCE, MAX_FORWARDS_PER_INSTANCE } from "../src/limits.ts";
import { startFakeInit } from "./fake-init.ts";
import type { IoClient } from "./harness.ts";
import { addressOf, eventually, Harness, MIB, refusal } from "./harness.ts";

type Call = ClientDuplexStream<ForwardRequest, ForwardResponse>;

let harness: Harness;
let init: Awaited<ReturnType<typeof startFakeInit>>;
let io: IoClient;
/** What the server in the sandbox does with a connection. */
let serve: (socket: Socket) => void;
let service: Server;
const sockets = new Set<Socket>();

beforeAll(async () => {
  harness = await Harness.start();
  init = await startFakeInit((connection) => connection.greet());
  service = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.once("close", () => sockets.delete(socket)));
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  service.listen(0, "127.0.0.1");
  await once(service, "listening");
  harness.ports.set(`${addressOf(1)}:8080`, (service.address() as AddressInfo).port);
  harness.ports.set(`${addressOf(1)}:8081`, 1);
  io = await harness.ready({ number: 1, ...init });
});
afterEach(async () => {
  await eventually("no connection is left", () => sockets.size === 0);
});
afterAll(async () => {
  io.close();
  await harness[Symbol.asyncDispose]();
  await init[Symbol.asyncDispose]();
  service.close();
});

const portOf = (value: number): ForwardRequest => ({ event: { $case: "port", value } });
const dataOf = (value: Buffer): ForwardRequest => ({ event: { $case: "data", value } });

const END: ForwardRequest = { event: { $case: "end", value: {} } };

function call(client = io): Call {
  const stream = client.client.forward(client.metadata);
  stream.on("error", () => {}); // read, too, where it matters
  return stream;
}

/** A call that stands. */
async function open(port = 8080): Promise<Call> {
  const stream = call();
  stream.write(portOf(port));
  const { event } = (await stream.iterator({ destroyOnReturn: false }).next()).value as ForwardResponse;
  expect(event?.$case).toBe("opened");
  return stream;
}

async function send(stream: Call, data: Buffer): Promise<void> {
  if (!stream.write(dataOf(data))) await once(stream, "drain");
}

/** All that comes, and that the end of the half was told. */
async function readAll(stream: Call): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let ended = false;
  for await (const { event } of stream as AsyncIterable<ForwardResponse>) {
    if (event?.$case === "data") chunks.push(event.value);
    ended = event?.$case === "end";
  }
  expect(ended).toBe(true);
  return Buffer.concat(chunks);
}

/** What a call that begins with these messages is refused with. */
function refusalOf(...messages: ForwardRequest[]): Promise<string> {
  const stream = call();
  for (const message of messages) stream.write(message);
  return refusal(stream.toArray());
}

const echo = (socket: Socket) => void socket.pipe(socket);

describe("a forwarded connection", () => {
  it("carries 50 MB each way as they are, in memory that does not grow with them", async () => {
    serve = echo;
    const stream = await open();
    const piece = randomBytes(MAX_CHUNK_BYTES);
    const [sent, received] = [createHash("sha256"), createHash("sha256")];
    const pieces = 200;
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    collect();
    const before = process.memoryUsage().arrayBuffers;
    let peak = 0;
    let count = 0;
    const sending = (async () => {
      for (; count < pieces; count += 1) {
        piece.writeUInt32BE(count);
        const copy = Buffer.from(piece);
        sent.update(copy);
        await send(stream, copy);
      }
      stream.end(END);
    })();
    let bytes = 0;
    for await (const { event } of stream as AsyncIterable<ForwardResponse>) {
      if (event?.$case !== "data") continue;
      bytes += event.value.length;
      if (bytes % MIB < event.value.length) {
        collect();
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
      }
      received.update(event.value);
    }
    await sending;
    expect(bytes).toBe(pieces * MAX_CHUNK_BYTES);
    expect(received.digest("hex")).toBe(sent.digest("hex"));
    // Both ends of everything are in this process, each with what a stream of gRPC holds (16 pieces); whoever kept what
    // goes by would hold 50 MiB each way.
    expect(peak).toBeLessThan(40 * MIB);
  });

  it("lets each half end for itself", async () => {
    serve = (socket) => {
      const chunks: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.on("end", () => socket.end(Buffer.concat([Buffer.from("got "), ...chunks])));
    };
    const asking = await open();
    await send(asking, Buffer.from("question"));
    asking.end(END);
    expect((await readAll(asking)).toString()).toBe("got question");

    const heard = Promise.withResolvers<string>();
    serve = (socket) => {
      socket.end("I have said all");
      const chunks: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.on("end", () => heard.resolve(Buffer.concat(chunks).toString()));
    };
    const listening = await open();
    const answers = listening.iterator({ destroyOnReturn: false });
    expect(((await answers.next()).value as ForwardResponse).event?.$case).toBe("data");
    expect(((await answers.next()).value as ForwardResponse).event?.$case).toBe("end");
    listening.write(dataOf(Buffer.from("and I go on")));
    listening.end(END);
    expect(await heard.promise).toBe("and I go on");
    expect((await answers.next()).done).toBe(true);
  });

  it("brings what a server says before it is asked", async () => {
    serve = (socket) => socket.end("SSH-2.0-x\r\n");
    const stream = await open();
    stream.end(END);
    expect((await readAll(stream)).toString()).toBe("SSH-2.0-x\r\n");
  });

  it("stops a sandbox that its caller does not read, and no other", async () => {
    let written = 0;
    const big = Buffer.alloc(64 * 1024);
    serve = (socket) => {
      const fill = () => {
        while (!socket.destroyed && socket.write(big)) written += big.length;
      };
      socket.on("drain", fill);
      fill();
    };
    const slow = await open();
    let last = -1;
    await eventually("the sandbox is stopped", async () => {
      const stood = last === written;
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return stood;
    });
    expect(written).toBeLessThan(24 * MIB); // buffers of two sockets, of a stream, and of HTTP/2
    serve = echo;
    const other = await open();
    await send(other, Buffer.from("here"));
    other.end(END);
    expect((await readAll(other)).toString()).toBe("here");
    slow.cancel();
  });

  it("is reset by the sandbox, and resets it when the caller goes away", async () => {
    serve = (socket) => socket.once("data", () => socket.resetAndDestroy());
    const cut = await open();
    const reading = refusal(cut.toArray());
    await send(cut, Buffer.from("x"));
    expect(await reading).toBe("Unavailable");

    const end = Promise.withResolvers<string>();
    serve = (socket) => {
      socket.on("end", () => end.resolve("a clean end")).resume();
      socket.on("error", (error: NodeJS.ErrnoException) => end.resolve(error.code ?? ""));
    };
    const gone = await open();
    await send(gone, Buffer.from("a part of"));
    await eventually("it has arrived", () => [...sockets].some(({ bytesRead }) => bytesRead > 0));
    gone.cancel();
    expect(await end.promise).toBe("ECONNRESET");
  });

  it("is reset where a call ends without an end of its bytes", async () => {
    const end = Promise.withResolvers<string>();
    serve = (socket) => {
      socket.on("end", () => end.resolve("a clean end")).resume();
      socket.on("error", (error: NodeJS.ErrnoException) => end.resolve(error.code ?? ""));
    };
    const stream = await open();
    const reading = refusal(stream.toArray());
    stream.end(dataOf(Buffer.from("a part of")));
    expect(await reading).toBe("Cancelled");
    expect(await end.promise).toBe("ECONNRESET");
  });

  it("stands beside fifty others", async () => {
    serve = echo;
    const all = Array.from({ length: 50 }, async (_, index) => {
      const stream = await open();
      const data = randomBytes(10_000 + index);
      await send(stream, data);
      stream.end(END);
      return (await readAll(stream)).equals(data);
    });
    expect(new Set(await Promise.all(all))).toEqual(new Set([true]));
  });

  it.each<[string, string, () => ForwardRequest[]]>([
    ["a port where nothing listens", "FailedPrecondition port", () => [portOf(8_081)]],
    ["init's port", "PermissionDenied port", () => [portOf(INIT_PORT)]],
    ["port 0", "InvalidArgument port", () => [portOf(0)]],
    ["port 65,536", "InvalidArgument port", () => [portOf(65_536)]],
    ["bytes before the port", "InvalidArgument port", () => [dataOf(Buffer.from("x"))]],
    ["a message that says nothing", "InvalidArgument port", () => [{}]],
    ["a second port", "InvalidArgument data", () => [portOf(8_080), portOf(8_081)]],
    [
      "a piece that is too large",
      "InvalidArgument data",
      () => [portOf(8_080), dataOf(Buffer.alloc(MAX_CHUNK_BYTES + 1))],
    ],
  ])("refuses %s", async (_what, code, messages) => {
    serve = (socket) => void socket.resume();
    expect(await refusalOf(...messages())).toBe(code);
  });

  it("refuses a call that ends before it names a port, and one that says nothing", async () => {
    const empty = call();
    empty.end();
    expect(await refusal(empty.toArray())).toBe("InvalidArgument port");
    expect(await refusalOf()).toBe("InvalidArgument port");
  }, 15_000);

  it("is of the sandbox that the token names", async () => {
    const other = await harness.io(2);
    const stream = call(other);
    stream.write(portOf(8_080));
    expect(await refusal(stream.toArray())).toBe("NotFound");
    other.metadata.set("authorization", "Bearer x.y.z");
    const stranger = call(other);
    stranger.write(portOf(8_080));
    expect(await refusal(stranger.toArray())).toBe("Unauthenticated");
    other.close();
  });

  it("leaves the edges their half of the connections", async () => {
    expect(MAX_FORWARDS_PER_INSTANCE).toBeLessThanOrEqual(MAX_CONNECTIONS_PER_INSTANCE / 2);
    serve = echo;
    const all = await Promise.all(Array.from({ length: MAX_FORWARDS_PER_INSTANCE }, () => open()));
    expect(await refusalOf(portOf(8_080))).toBe("ResourceExhausted");
    for (const stream of all) stream.cancel();
    await eventually("they are closed", () => sockets.size === 0);
    const again = await open();
    again.end(END);
    expect(await readAll(again)).toEqual(Buffer.alloc(0));
  });

  it("ends with the sandbox", async () => {
    serve = echo;
    const stream = await open();
    const reading = refusal(stream.toArray());
    await harness.detach(1);
    expect(await reading).toBe("SandboxEnded");
    expect(await refusalOf(portOf(8_080))).toBe("SandboxEnded");
  });
});
