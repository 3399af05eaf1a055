// Raw ports: there as long as their routes are, for their own sandbox alone, whatever happens to the edge meanwhile.
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { buffer } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { RouteState } from "@sallyport/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { freePort, hostOf, RAW_ADDRESS, readAll, route, World } from "../test/world.ts";

let world: World;
let publicPort: number;
const RANGE = { SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535" };

beforeEach(async () => {
  world = await World.start();
  publicPort = await freePort();
});

afterEach(() => world[Symbol.asyncDispose]());

const echo = (socket: Socket) => void socket.pipe(socket);
const raw = (port = 6379, more = {}) => ({ port, kind: "raw" as const, publicPort, ...more });

/** The error of a connection that is not made; undefined: it is. */
async function dialError(port: number, host = RAW_ADDRESS): Promise<string | undefined> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect");
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  } finally {
    socket.destroy();
  }
}

describe("a raw port", () => {
  it("leads into the sandbox once its revision is acknowledged, and over TLS besides", async () => {
    await world.app(6379, echo);
    const { port } = await world.edge(RANGE);
    await world.api.tellAll({ routes: [route(1, [raw()])] });
    const client = await world.dialRaw(publicPort);
    client.end("PING\r\n");
    expect((await buffer(client)).toString()).toBe("PING\r\n");
    const secure = world.dial(port, hostOf(6379));
    secure.end("PING\r\n");
    expect((await buffer(secure)).toString()).toBe("PING\r\n");
    expect(await dialError(publicPort, "127.0.0.1")).toBe("ECONNREFUSED");
  });

  it("lets the app speak first, and each side end for itself", async () => {
    await world.app(25, (socket) => {
      socket.write("220 here\r\n");
      void buffer(socket).then((all) => socket.end(`${all.length} bytes\r\n`));
    });
    await world.edge(RANGE);
    await world.api.tellAll({ routes: [route(1, [raw(25)])] });
    const client = await world.dialRaw(publicPort);
    const [greeting] = (await once(client, "data")) as [Buffer];
    expect(greeting.toString()).toBe("220 here\r\n");
    client.end("QUIT\r\n");
    expect((await buffer(client)).toString()).toBe("6 bytes\r\n");
  });

  it("tells of resets, both ways", async () => {
    const apps: Socket[] = [];
    await world.app(6379, (socket) => apps.push(socket.on("data", () => socket.write("x"))));
    await world.edge(RANGE);
    await world.api.tellAll({ routes: [route(1, [raw()])] });
    for (const side of ["app", "client"] as const) {
      const client = await world.dialRaw(publicPort);
      client.write("hello");
      await once(client, "data");
      const app = apps.pop();
      if (app === undefined) throw new Error("nobody came");
      const [breaks, told] = side === "app" ? [app, client] : [client, app];
      breaks.on("error", () => breaks.destroy());
      const over = readAll(told);
      breaks.resetAndDestroy();
      expect((await over).end).toBe("ECONNRESET");
    }
  });

  it("is closed when its sandbox is over, and whoever is connected cut", async () => {
    await world.app(6379, echo);
    await world.edge(RANGE);
    await world.api.tellAll({ routes: [route(1, [raw()])] });
    const client = await world.dialRaw(publicPort);
    client.write("hello");
    await once(client, "data");
    const over = readAll(client);
    await world.api.tellAll({ routes: [route(1, [raw()], { state: RouteState.ENDED })] });
    expect((await over).end).toBe("ECONNRESET");
    expect(await dialError(publicPort)).toBe("ECONNREFUSED");
  });

  it("carries no connection over to the sandbox that has it next", async () => {
    const said: string[] = [];
    for (const number of [1, 2]) {
      await world.app(
        6379,
        (socket) =>
          socket.on("data", (piece: Buffer) => {
            said.push(`${number}: ${piece.toString()}`);
            socket.write("ok");
          }),
        number,
      );
    }
    await world.edge(RANGE);
    await world.api.tellAll({ routes: [route(1, [raw(6379, { label: 1 })])] });
    const old = await world.dialRaw(publicPort);
    old.write("to the first");
    await once(old, "data");
    const over = readAll(old);
    const ended = route(1, [raw(6379, { label: 1 })], { state: RouteState.ENDED });
    await world.api.tellAll({ routes: [ended, route(2, [raw(6379, { label: 2 })])] });
    expect((await over).end).toBe("ECONNRESET");
    const client = await world.dialRaw(publicPort);
    client.write("to the second");
    await once(client, "data");
    expect(said).toEqual(["1: to the first", "2: to the second"]);
  });

  it("is not listened at outside of the range", async () => {
    await world.app(6379, echo);
    await world.edge({ SALLYPORT_TUNNEL_RAW_PORTS: "1-1" });
    await world.api.tellAll({ routes: [route(1, [raw()])] });
    expect(await dialError(publicPort)).toBe("ECONNREFUSED");
    expect(await world.metrics()).toMatch(/^sallyport_tunnel_raw_ports 0$/m);
  });

  it("that is somebody else's holds nobody up, and is taken when it is free", async () => {
    await world.app(6379, echo);
    const somebody = createServer().listen(publicPort, RAW_ADDRESS);
    await once(somebody, "listening");
    await world.edge(RANGE);
    await world.api.tellAll({ routes: [route(1, [raw()])] });
    expect(await world.metrics()).toMatch(/^sallyport_tunnel_raw_ports_failed 1$/m);
    somebody.close();
    await vi.waitFor(async () => expect(await world.metrics()).toMatch(/^sallyport_tunnel_raw_ports 1$/m), 5_000);
    const client = await world.dialRaw(publicPort);
    client.end("PING");
    expect((await buffer(client)).toString()).toBe("PING");
  });

  it("is reset, not ended, when nothing listens in the sandbox", async () => {
    await world.edge({ ...RANGE, SALLYPORT_TUNNEL_START_RETRY_MS: "500" });
    await world.api.tellAll({ routes: [route(1, [raw()])] });
    world.gateway.lead(route(1, []).instanceId, 6379, { refuse: 502 });
    const client = connect({ host: RAW_ADDRESS, port: publicPort });
    expect((await readAll(client)).end).toBe("ECONNRESET");
    expect(world.gateway.requests.length).toBeGreaterThan(1);
  });

  it("waits for a server that is starting", async () => {
    await world.edge(RANGE);
    await world.api.tellAll({ routes: [route(1, [raw()])] });
    const client = await world.dialRaw(publicPort);
    client.end("PING");
    await vi.waitFor(() => expect(world.gateway.requests.length).toBeGreaterThan(1));
    await world.app(6379, echo);
    expect((await buffer(client)).toString()).toBe("PING");
  });
});

describe("an edge that takes another one's place", () => {
  it("listens before the other one lets go, which lets its connections end", async () => {
    await world.app(6379, echo);
    world.api.tell({ routes: [route(1, [raw()])] });
    const first = await world.edge({ ...RANGE, SALLYPORT_TUNNEL_DRAIN_MS: "10000" });
    await world.api.settled();
    const old = await world.dialRaw(publicPort);
    old.write("hello");
    await once(old, "data");
    const serves50 = async () => {
      for (let turn = 0; turn < 50; turn += 1) {
        const client = await world.dialRaw(publicPort);
        client.end("PING");
        expect((await buffer(client)).toString()).toBe("PING");
      }
    };
    await world.edge(RANGE);
    await serves50(); // by either of them
    const draining = first[Symbol.asyncDispose]();
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
    await serves50();
    old.end("farewell");
    expect((await buffer(old)).toString()).toBe("farewell");
    await draining;
  });

  it("knows its raw ports while the api is down", async () => {
    await world.app(6379, echo);
    world.api.tell({ routes: [route(1, [raw()])] });
    const first = await world.edge(RANGE);
    await world.api.settled();
    await first[Symbol.asyncDispose]();
    await world.api.stop();
    await world.edge(RANGE);
    const client = await world.dialRaw(publicPort);
    client.end("PING");
    expect((await buffer(client)).toString()).toBe("PING");
  });
});

it("does not put raw ports where hosts have names", async () => {
  await expect(world.edge({ ...RANGE, SALLYPORT_TUNNEL_RAW_ADDRESS: "127.0.0.1" })).rejects.toThrow(
    "SALLYPORT_TUNNEL_RAW_ADDRESS",
  );
});
