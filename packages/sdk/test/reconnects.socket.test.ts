// Streams over connections that break at every message and in the middle of messages: no loss, no repetition, and
// what is no longer kept is said.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { EndReason } from "@sallyport/contracts";
import { CuttingProxy } from "@sallyport/testkit/cutting-proxy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, Sandbox } from "../src/index.ts";
import type { World } from "./calls.ts";
import { callsOf, endWorld, makeWorld } from "./calls.ts";

/** Every byte tells where it belongs. */
const TEXT = Array.from({ length: 200 }, (_, index) => String(index).padStart(3, "0")).join("");
/** After the handshake and the headers; each connection gets a little more than the one before, so the cut wanders through the frames. */
const FIRST_CUT = 300;
const WANDER = 97;

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => endWorld(world));

async function pieces(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const piece of stream) text += Buffer.from(piece).toString();
  return text;
}

describe.each(["stdout", "stderr"] as const)("%s", (name) => {
  it("arrives whole when every read ends after one message", async () => {
    world.platform.maxChunkBytes = 25;
    world.platform.endReadsAfter = 1;
    world.held[name].write(TEXT);
    world.held.exit(0);
    expect(await pieces(world.process[name])).toBe(TEXT);
    // One message each, and the last says that this was all.
    expect(callsOf(world, "readOutput")).toBe(TEXT.length / 25 + 1);
  });

  it.each([1, 7, 64])("arrives whole over connections cut anywhere, in pieces of %i", async (size) => {
    const { platform, client, process, held } = world;
    const text = TEXT.slice(0, size * 60);
    await using proxy = await CuttingProxy.start(platform.gatewayPort, (n) => FIRST_CUT + size + ((n * 29) % WANDER));
    platform.maxChunkBytes = size;
    held[name].write(text);
    platform.gatewayAddress = proxy.address;
    const again = await Sandbox.fromId(world.sandbox.id, { client });
    const reading = pieces(again.process(process.id)[name]);
    await expect.poll(() => proxy.cuts).toBeGreaterThan(1);
    held.exit(0);
    expect(await reading).toBe(text);
  });
});

describe("what is no longer kept", () => {
  it("is told once, though the connection breaks around it", async () => {
    const { platform, process, held } = world;
    platform.maxChunkBytes = 10;
    platform.endReadsAfter = 1;
    held.stdout.write(TEXT);
    const gaps: { readonly from: number; readonly to: number }[] = [];
    const reader = process.stdout.from(0, { onGap: (gap) => gaps.push(gap) }).getReader();
    const first = await reader.read();
    expect(Buffer.from(first.value ?? []).toString()).toBe(TEXT.slice(0, 10));
    held.stdout.start = 100;
    held.exit(0);
    let rest = "";
    for (let next = await reader.read(); !next.done; next = await reader.read()) rest += Buffer.from(next.value);
    // The message that was on its way when the bytes were let go had been sent: it counts.
    expect(gaps.map(({ to }) => to)).toEqual([100]);
    const from = gaps[0]?.from ?? 0;
    expect(rest).toBe(TEXT.slice(10, from) + TEXT.slice(100));
  });

  it("is an error where nobody asked to be told, after all that was kept before it", async () => {
    const { platform, process, held } = world;
    platform.maxChunkBytes = 10;
    platform.endReadsAfter = 1;
    held.stdout.write(TEXT);
    held.exit(0);
    const reader = process.stdout.getReader();
    let seen = "";
    const failing = (async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        seen += Buffer.from(next.value);
        if (seen.length === 50) held.stdout.start = 300;
      }
    })();
    await expect(failing).rejects.toMatchObject({ code: "FailedPrecondition" });
    expect(TEXT.startsWith(seen)).toBe(true);
    expect(seen.length).toBeGreaterThanOrEqual(50);
    expect(await pieces(process.stdout.from(300))).toBe(TEXT.slice(300));
  });
});

describe("events", () => {
  it("arrive once each and in order over connections cut anywhere", async () => {
    const { platform } = world;
    const held = platform.sandboxes.get(world.sandbox.id);
    const port = Number(new URL(platform.apiUrl).port);
    await using proxy = await CuttingProxy.start(port, (n) => 700 + ((n * 29) % WANDER));
    const through = new Client({ url: `http://${proxy.address}`, token: platform.token });
    const direct = await Sandbox.fromId(world.sandbox.id, { client: world.client });
    for (let count = 0; count < 40; count += 1) held?.tell("tags_changed", { count });
    const sandbox = await Sandbox.fromId(direct.id, { client: through });
    const reading = Array.fromAsync(sandbox.events({ follow: true }));
    await expect.poll(() => proxy.cuts).toBeGreaterThan(1);
    held?.end({ reason: EndReason.EXITED, exitCode: 0 });
    const sequence = (await reading).map(({ seq }) => seq);
    expect(sequence).toEqual(held?.events.map(({ seq }) => seq));
    expect(sequence.length).toBeGreaterThan(40);
    await through[Symbol.asyncDispose]();
  });
});

describe("standard input", () => {
  it("arrives once and in order over connections cut anywhere", async () => {
    const { platform, client, held } = world;
    // Room for some answers on each connection: the cut falls between the deed and its answer, again and again.
    await using proxy = await CuttingProxy.start(platform.gatewayPort, (n) => 400 + ((n * 29) % WANDER));
    platform.gatewayAddress = proxy.address;
    const again = await Sandbox.fromId(world.sandbox.id, { client });
    const { stdin } = again.process(world.process.id);
    for (let at = 0; at < TEXT.length; at += 30) await stdin.send(TEXT.slice(at, at + 30));
    expect(held.input.toString()).toBe(TEXT);
    expect(proxy.cuts).toBeGreaterThan(1);
  });
});

describe("a connection that is taken and never answered", () => {
  it("is begun anew", async () => {
    const { platform, client, process, held } = world;
    held.stdout.write("said\n");
    held.exit(0);
    const silent: Socket[] = [];
    await using door = await listen((socket) => {
      if (silent.length === 0) {
        silent.push(socket);
      } else {
        const upstream = connect(platform.gatewayPort, "127.0.0.1");
        for (const one of [socket, upstream]) one.on("error", () => upstream.destroy());
        socket.pipe(upstream).pipe(socket);
      }
    });
    platform.gatewayAddress = door.address;
    const again = await Sandbox.fromId(world.sandbox.id, { client });
    expect(await again.process(process.id).stdout.text()).toBe("said\n");
    expect(silent).toHaveLength(1);
  }, 60_000);
});

async function listen(onConnection: (socket: Socket) => void): Promise<AsyncDisposable & { readonly address: string }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
