// Ends and resets over two relays, as from an edge through a gateway into a sandbox: TCP, a Unix socket, TCP.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { relay } from "./relay.ts";
import type { Resets } from "./resets.ts";
import { mapResets } from "./resets.ts";

let stack: AsyncDisposableStack;
let client: Socket;
let app: Socket;
/** Of the edge, then of the gateway. */
let seen: Resets[];
let over: Promise<unknown>[];

async function listen(server: Server, path?: string): Promise<number> {
  server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
  await once(server, "listening");
  stack.defer(() => void server.close());
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

function join2(left: Socket, right: Socket): void {
  for (const one of [left, right]) {
    one.on("error", () => one.destroy());
    stack.defer(() => void one.destroy());
  }
  seen.push(mapResets({ stream: left }, { stream: right }));
  over.push(relay(left, right));
}

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  seen = [];
  over = [];
  const directory = await mkdtemp(join(tmpdir(), "resets-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const options = { allowHalfOpen: true };
  const path = join(directory, "open.sock");
  const sandbox = createServer(options);
  const port = await listen(sandbox);
  const gateway = createServer(options, (socket) => {
    join2(socket, connect({ port, host: "127.0.0.1", ...options }));
  });
  await listen(gateway, path);
  const edge = createServer(options, (socket) => join2(socket, connect({ path, ...options })));
  const edgePort = await listen(edge);
  client = connect({ port: edgePort, host: "127.0.0.1", ...options });
  [app] = (await once(sandbox, "connection")) as [Socket];
  for (const one of [client, app]) {
    one.on("error", () => one.destroy());
    stack.defer(() => void one.destroy());
  }
});

afterEach(() => stack.disposeAsync());

/** "ECONNRESET" or the like; "end" when the bytes came to an end. */
async function endOf(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  socket.once("end", () => resolve("end"));
  socket.resume();
  return await promise;
}

describe("a connection through two relays", () => {
  it("breaks off at the client when the app does", async () => {
    client.write("hello");
    await once(app, "data");
    const end = endOf(client);
    app.resetAndDestroy();
    expect(await end).toBe("ECONNRESET");
    await Promise.all(over);
    expect(seen.map(({ by }) => by)).toEqual(["right", "right"]);
  });

  it("breaks off at the app when the client does", async () => {
    app.write("hello");
    await once(client, "data");
    const end = endOf(app);
    client.resetAndDestroy();
    expect(await end).toBe("ECONNRESET");
    await Promise.all(over);
    expect(seen.map(({ by }) => by)).toEqual(["left", "left"]);
  });

  it("ends as it is ended: each half for itself, whichever is first", async () => {
    client.end("question");
    expect((await buffer(app)).toString()).toBe("question");
    app.end("answer");
    expect((await buffer(client)).toString()).toBe("answer");
    await Promise.all(over);
    expect(seen.map(({ by }) => by)).toEqual([undefined, undefined]);
  });

  it("lets the app end first, and hears the client out", async () => {
    app.end("greeting");
    expect((await buffer(client)).toString()).toBe("greeting");
    client.end("farewell");
    expect((await buffer(app)).toString()).toBe("farewell");
    await Promise.all(over);
    expect(seen.map(({ by }) => by)).toEqual([undefined, undefined]);
  });
});
