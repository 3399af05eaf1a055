// What goes through a tunnel: all of it, in order, as fast as its reader is, and nothing left behind.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { freePort, hostOf, readAll, route, World } from "../test/world.ts";

let world: World;
let publicPort: number;

beforeEach(async () => {
  world = await World.start();
  publicPort = await freePort();
});

afterEach(() => world[Symbol.asyncDispose]());

const MIB = 1_048_576;
const BYTES = randomBytes(24 * MIB);
const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function start(onConnection: (socket: Socket) => void, settings: Record<string, string> = {}) {
  await world.app(9_000, onConnection);
  world.api.tell({ routes: [route(1, [{ port: 9_000, kind: "raw", publicPort }])] });
  const edge = await world.edge({ SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535", ...settings });
  await world.api.settled();
  return {
    edge,
    async dial(door: "tls" | "raw"): Promise<Socket> {
      if (door === "raw") return await world.dialRaw(publicPort);
      const client: TLSSocket = world.dial(edge.port, hostOf(9_000));
      client.allowHalfOpen = true;
      await once(client, "secureConnect");
      return client;
    },
  };
}

/** Reads some, then waits for others to have their turn, again and again. */
async function readSlowly(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
    for (let turns = 0; turns < 5; turns += 1) await turn();
  }
  return Buffer.concat(chunks);
}

/** Writes for as long as anybody on the way takes it: until it stands still. */
async function fillUp(socket: Socket): Promise<void> {
  let written = 0;
  const write = () => {
    do written += 1;
    while (socket.write(Buffer.alloc(65_536)));
  };
  socket.on("drain", write);
  write();
  let [before, still] = [-1, 0];
  await vi.waitFor(
    () => {
      still = written === before ? still + 1 : 0;
      before = written;
      expect(still).toBe(4);
    },
    { timeout: 20_000, interval: 100 },
  );
}

describe.each(["tls", "raw"] as const)("bytes through the %s door", (door) => {
  it("all arrive, both ways at once, at readers who are slow", async () => {
    const atApp = Promise.withResolvers<Buffer>();
    const { dial } = await start((socket) => {
      socket.end(BYTES);
      readSlowly(socket).then(atApp.resolve, atApp.reject);
    });
    const client = await dial(door);
    client.end(BYTES);
    const [one, other] = await Promise.all([readSlowly(client), atApp.promise]);
    expect(hashOf(one)).toBe(hashOf(BYTES));
    expect(hashOf(other)).toBe(hashOf(BYTES));
  });

  it("hold no place for a client that is gone, though nobody reads what it sent", async () => {
    const { edge } = await start((socket) => void socket.pause());
    const transport = door === "raw" ? await world.dialRaw(publicPort) : await world.dialRaw(edge.port, "127.0.0.1");
    const client = door === "raw" ? transport : world.dial(edge.port, hostOf(9_000), { socket: transport });
    client.on("error", () => client.destroy());
    await fillUp(client);
    transport.resetAndDestroy();
    await vi.waitFor(async () => expect(await world.metrics()).toContain('end="client-cut"'), 10_000);
    expect(await world.metrics()).toMatch(/^sallyport_tunnel_connections 0$/m);
  });

  it("wait for a reader who stops", async () => {
    let written = 0;
    const { dial } = await start((socket) => {
      const write = () => {
        while (socket.write(BYTES.subarray(0, MIB))) written += MIB;
        written += MIB;
      };
      socket.on("drain", write);
      write();
    });
    const client = await dial(door);
    client.pause();
    // It stands still once every buffer on the way is full: sockets' and streams', of some MiB each.
    let before = -1;
    await vi.waitFor(
      () => {
        const stands = written === before && written > 0;
        before = written;
        expect(stands).toBe(true);
      },
      { timeout: 10_000, interval: 300 },
    );
    expect(written).toBeLessThan(64 * MIB);
    client.destroy();
  });

  it("leave nothing behind: as many places and sockets after many quick connections as before", {
    timeout: 60_000,
  }, async () => {
    const { dial } = await start((socket) => void socket.pipe(socket));
    const once1 = async () => {
      const client = await dial(door);
      client.end("x");
      await buffer(client);
    };
    await once1();
    const handles = () => process.getActiveResourcesInfo().filter((name) => /Socket|Pipe|TLS/.test(name)).length;
    await settledDown();
    const before = handles();
    const rounds = door === "tls" ? 10 : 40; // handshakes take their time
    for (let round = 0; round < rounds; round += 1) {
      await Promise.all(Array.from({ length: 25 }, async () => await once1()));
    }
    await settledDown();
    expect(handles()).toBeLessThanOrEqual(before + 2);
    expect(await world.metrics()).toContain(
      `sallyport_tunnel_connections_total{kind="${door}",end="complete"} ${rounds * 25 + 1}`,
    );
  });
});

async function settledDown(): Promise<void> {
  await vi.waitFor(async () => {
    const metrics = await world.metrics();
    for (const name of ["connections", "handshakes", "tunnelled_connections"]) {
      expect(metrics).toMatch(new RegExp(`^sallyport_tunnel_${name} 0$`, "m"));
    }
    expect(world.gateway.open).toBe(0);
  });
}

describe("limits", () => {
  it("end a connection on which nothing comes", async () => {
    const { dial, edge } = await start(() => undefined, { SALLYPORT_TUNNEL_IDLE_MS: "50" });
    const client = await dial("tls");
    await readAll(client);
    await edge[Symbol.asyncDispose]();
    expect((await world.lines()).map(({ end }) => end)).toEqual(["idle"]);
  });

  it("of speed hold nothing up for good, and change nothing", async () => {
    const { dial } = await start((socket) => void socket.pipe(socket), {
      SALLYPORT_TUNNEL_BYTES_PER_SECOND: String(2 * MIB),
    });
    const clients = await Promise.all([dial("raw"), dial("tls")]);
    const echoed = clients.map(async (client) => {
      client.end(BYTES.subarray(0, MIB));
      return hashOf(await buffer(client));
    });
    expect(await Promise.all(echoed)).toEqual(Array.from({ length: 2 }, () => hashOf(BYTES.subarray(0, MIB))));
  });
});

describe("a stop", () => {
  it("lets connections end in their time, then cuts them", async () => {
    const { dial, edge } = await start((socket) => void socket.pipe(socket), { SALLYPORT_TUNNEL_DRAIN_MS: "300" });
    const [quick, stuck] = [await dial("tls"), await dial("raw")];
    for (const client of [quick, stuck]) {
      client.write("hello");
      await once(client, "data");
    }
    const over = readAll(stuck);
    const stopped = edge[Symbol.asyncDispose]();
    quick.end("farewell");
    expect((await buffer(quick)).toString()).toBe("farewell");
    expect((await over).end).toBe("ECONNRESET");
    await stopped;
    expect((await world.lines()).map(({ end }) => end)).toEqual(["complete", "stopped"]);
  });
});
