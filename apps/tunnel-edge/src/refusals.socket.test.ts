// What is written down of those who were turned away on their way to a known port, by each door.
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { freePort, hostOf, RAW_ADDRESS, readAll, route, sandbox, World } from "../test/world.ts";
import { REFUSAL_LINES_BURST } from "./limits.ts";

let world: World;
let publicPort: number;
const RANGE = { SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535" };
const echo = (socket: Socket) => void socket.pipe(socket);

beforeEach(async () => {
  world = await World.start();
  publicPort = await freePort();
  await world.app(80, echo);
});

afterEach(() => world[Symbol.asyncDispose]());

/** An edge with a port of each kind. */
async function start(settings: Readonly<Record<string, string>> = {}, inbound?: readonly string[]) {
  const edge = await world.edge({ ...RANGE, ...settings });
  const declared = [
    { port: 80, kind: "raw" as const, publicPort },
    { port: 90, kind: "h2" as const },
  ];
  await world.api.tellAll({ routes: [route(1, declared, inbound === undefined ? {} : { inbound })] });
  return edge;
}

/** Comes over TLS, and is gone again. */
async function come(port: number, name: number, options: ConnectionOptions & { localAddress?: string } = {}) {
  const client = world.dial(port, hostOf(name), options);
  client.on("error", () => client.destroy());
  client.once("secureConnect", () => client.destroy());
  await once(client, "close").catch(() => undefined); // its "error" is what the test wants
}

async function comeRaw(localAddress: string) {
  await readAll(connect({ host: RAW_ADDRESS, port: publicPort, localAddress }).end("x"));
}

/** [kind, port, refusal or end, peer, times] of each line. */
async function written(edge: AsyncDisposable): Promise<unknown[][]> {
  await edge[Symbol.asyncDispose]();
  const lines = await world.lines();
  expect(new Set(lines.map(({ sandboxId }) => sandboxId))).toEqual(new Set([sandbox(1)]));
  return lines.map(({ end, kind, peer, port, refusal, times }) => [kind, port, refusal ?? end, peer, times]);
}

it("over TLS: who may not come, speaks another protocol, does not trust, or breaks off", async () => {
  const edge = await start({}, ["127.0.0.1", "127.0.0.8"]);
  await come(edge.port, 90, { localAddress: "127.0.0.9" });
  await come(edge.port, 90);
  await come(edge.port, 80, { ALPNProtocols: ["h2"], localAddress: "127.0.0.8" });
  await come(edge.port, 80, { ca: [] });
  // A name that leads nowhere is nobody's.
  await come(edge.port, 81);
  expect(await world.metrics()).toContain('refusals_total{door="tls",reason="server-name"} 1');
  expect(await written(edge)).toEqual([
    ["h2", 90, "not-allowed", "127.0.0.9", 1],
    ["h2", 90, "alpn", "127.0.0.1", 1],
    ["tls", 80, "alpn", "127.0.0.8", 1],
    ["tls", 80, "broken", "127.0.0.1", 1],
  ]);
});

it("at a raw port: who may not come, and does not say for whom", async () => {
  const edge = await start({ SALLYPORT_TUNNEL_TRUSTED_PROXIES: "127.0.0.8" }, ["127.0.0.1"]);
  await comeRaw("127.0.0.9");
  await readAll(
    connect({ host: RAW_ADDRESS, port: publicPort, localAddress: "127.0.0.8" }).end("GET / HTTP/1.1\r\n\r\n"),
  );
  expect(await written(edge)).toEqual([
    ["raw", 80, "not-allowed", "127.0.0.9", 1],
    ["raw", 80, "proxy-header", "127.0.0.8", 1],
  ]);
});

it("by both: who met a bound; and one that made room, at its own end", async () => {
  const edge = await start({ SALLYPORT_TUNNEL_CONNECTIONS_PER_SANDBOX: "2" });
  const oldest = world.dial(edge.port, hostOf(80));
  oldest.write("hello");
  await once(oldest, "data");
  const newer = await world.dialRaw(publicPort);
  newer.on("error", () => newer.destroy()); // with the edge
  newer.write("hello");
  await once(newer, "data");
  await come(edge.port, 80);
  await comeRaw("127.0.0.1");
  const shed = readAll(oldest);
  // Of another address: the oldest of those who have most makes room.
  const other = await world.dialRaw(publicPort, RAW_ADDRESS, "127.0.0.9");
  other.on("error", () => other.destroy());
  other.write("hello");
  await once(other, "data");
  expect((await shed).end).toBe("ECONNRESET");
  await vi.waitFor(async () => expect(await world.metrics()).toContain('end="shed"'));
  const lines = await written(edge);
  expect(lines.slice(0, 3)).toEqual([
    ["tls", 80, "sandbox", "127.0.0.1", 1],
    ["raw", 80, "sandbox", "127.0.0.1", 1],
    ["tls", 80, "shed", "127.0.0.1", undefined],
  ]);
});

it("of a flood: some of them, and how many the others were", async () => {
  const edge = await start({}, []);
  const flood = REFUSAL_LINES_BURST + 200;
  for (let at = 0; at < flood; at += 1) await comeRaw("127.0.0.9");
  const lines = await written(edge);
  const times = lines.reduce((sum, line) => sum + Number(line[4]), 0);
  expect(times).toBe(flood);
  expect(lines.at(-1)?.slice(0, 4)).toEqual(["raw", 80, "not-allowed", null]);
  expect(lines.length).toBeLessThan(flood);
});
