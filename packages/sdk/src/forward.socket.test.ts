// Forwarded ports as programs use them: sockets of this machine on one side, real servers behind the gateway's call on the other.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { PortForward, SallyportError } from "./index.ts";
import { Client, Sandbox } from "./index.ts";

/** What the server in the sandbox does with a connection. */
let serve: (socket: Socket) => void;
let server: Server;
const sockets = new Set<Socket>();
let platform: FakePlatform;
let client: Client;
let sandbox: Sandbox;
let errors: SallyportError[];
beforeAll(async () => {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.once("close", () => sockets.delete(socket)));
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => {
  server.close();
});
beforeEach(async () => {
  platform = await FakePlatform.start();
  platform.servers.set(8_080, (server.address() as AddressInfo).port);
  client = new Client({ url: platform.apiUrl, token: platform.token });
  sandbox = await Sandbox.create({ client });
  errors = [];
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
  await expect.poll(() => sockets.size).toBe(0);
});

const open = (options = {}) => sandbox.forward(8_080, { onError: (error) => errors.push(error), ...options });
const echo = (socket: Socket) => void socket.pipe(socket);
const dial = ({ host, port }: PortForward) => connect({ host, port, allowHalfOpen: true });

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The code that a socket breaks with. */
async function codeOf(socket: Socket): Promise<string | undefined> {
  const [error] = (await once(socket.resume(), "error")) as [NodeJS.ErrnoException];
  return error.code;
}

describe("a forwarded port", () => {
  it("is a free one of the loopback, or the one that is named", async () => {
    serve = echo;
    await using forward = await open();
    expect(forward).toMatchObject({ sandboxPort: 8_080, host: "127.0.0.1" });
    const socket = dial(forward);
    socket.end("hello");
    expect((await readAll(socket)).toString()).toBe("hello");
    await expect(open({ port: forward.port })).rejects.toMatchObject({
      code: "FailedPrecondition",
      field: "options.port",
    });
    await expect(open({ host: "240.0.0.1" })).rejects.toMatchObject({ field: "options.host" });
    await using other = await open({ host: "::1" });
    expect(other.host).toBe("::1");
  });

  it("carries many bytes both ways as they are", async () => {
    serve = echo;
    await using forward = await open();
    const data = randomBytes(20_000_000);
    const socket = dial(forward);
    socket.end(data);
    const digests = [data, await readAll(socket)].map((bytes) => createHash("sha256").update(bytes).digest("hex"));
    expect(digests[1]).toBe(digests[0]);
    expect(errors).toEqual([]);
  });

  it("lets each half end for itself, whoever speaks first", async () => {
    const heard = Promise.withResolvers<string>();
    serve = (socket) => {
      socket.end("220 first\r\n");
      void readAll(socket).then((bytes) => heard.resolve(bytes.toString()));
    };
    await using forward = await open();
    const socket = dial(forward);
    expect((await readAll(socket)).toString()).toBe("220 first\r\n");
    socket.end("and I go on");
    expect(await heard.promise).toBe("and I go on");
  });

  it("stands for many at once", async () => {
    serve = echo;
    await using forward = await open();
    const all = Array.from({ length: 50 }, async () => {
      const data = randomBytes(10_000);
      const socket = dial(forward);
      socket.end(data);
      return (await readAll(socket)).equals(data);
    });
    expect(new Set(await Promise.all(all))).toEqual(new Set([true]));
  });

  it("says why where nothing listens, by a reset and to the program", async () => {
    await using forward = await sandbox.forward(8_081, { onError: (error) => errors.push(error) });
    expect(await codeOf(dial(forward))).toBe("ECONNRESET");
    expect(errors).toMatchObject([{ code: "FailedPrecondition", field: "port" }]);
  });

  it("hands resets on, both ways", async () => {
    serve = (socket) => socket.once("data", () => socket.resetAndDestroy());
    await using forward = await open();
    const cut = dial(forward);
    cut.write("x");
    expect(await codeOf(cut)).toBe("ECONNRESET");
    expect(errors).toMatchObject([{ code: "Unavailable" }]);

    const end = Promise.withResolvers<string | undefined>();
    serve = (socket) => {
      socket.once("data", () => socket.write("y"));
      socket.on("end", () => end.resolve("a clean end"));
      socket.on("error", (error: NodeJS.ErrnoException) => end.resolve(error.code));
    };
    const left = dial(forward);
    left.write("a part of");
    await once(left, "data");
    left.resetAndDestroy();
    expect(await end.promise).toBe("ECONNRESET");
    // Whose doing it was: nobody is told.
    expect(errors).toHaveLength(1);
  });

  it("opens with a token of its own time, through refusals and outages", async () => {
    serve = echo;
    await using forward = await open();
    platform.revokeIoTokens();
    platform.fail("forward", { code: "Unavailable" });
    const socket = dial(forward);
    socket.end("hello");
    expect((await readAll(socket)).toString()).toBe("hello");
    expect(platform.calls.filter((call) => call === "forward").length).toBeGreaterThan(2);
    platform.fail("forward", { code: "SandboxEnded" });
    expect(await codeOf(dial(forward))).toBe("ECONNRESET");
    expect(errors).toMatchObject([{ code: "SandboxEnded" }]);
  });

  it("cuts what it carries where the gateway is killed", async () => {
    serve = echo;
    await using forward = await open();
    const socket = dial(forward);
    socket.write("x");
    await once(socket, "data");
    platform.killGateway();
    expect(await codeOf(socket)).toBe("ECONNRESET");
    expect(errors).toMatchObject([{ code: "Unavailable" }]);
  });

  it.each<[string, (forward: PortForward, leave: AbortController) => unknown]>([
    ["its disposal", (forward) => forward[Symbol.asyncDispose]()],
    ["the signal", (_, leave) => leave.abort()],
    ["the handle's end", () => sandbox.detach()],
    ["the client's end", () => client[Symbol.asyncDispose]()],
  ])("closes with %s, and cuts what it carries", async (_what, close) => {
    serve = echo;
    const leave = new AbortController();
    const forward = await open({ signal: leave.signal });
    const socket = dial(forward);
    socket.write("x");
    await once(socket, "data");
    const cut = codeOf(socket);
    await Promise.resolve(close(forward, leave));
    expect(await cut).toBe("ECONNRESET");
    expect(await codeOf(dial(forward))).toBe("ECONNREFUSED");
    await forward[Symbol.asyncDispose]();
    expect(errors).toEqual([]);
  });

  it.each([0, 65_536, 1.5, Number.NaN])("refuses what is no port: %s", async (port) => {
    await expect(sandbox.forward(port)).rejects.toMatchObject({ code: "InvalidArgument", field: "port" });
    if (port === 0) return;
    await expect(open({ port })).rejects.toMatchObject({ code: "InvalidArgument", field: "options.port" });
  });

  it("is not there for a sandbox that has ended", async () => {
    await sandbox.terminate();
    await expect(open()).rejects.toMatchObject({ code: "SandboxEnded" });
  });
});
