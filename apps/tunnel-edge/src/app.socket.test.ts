// The tunnel-edge between its neighbours: what it serves, what it writes down, how it starts and stops.
import { once } from "node:events";
import { rename } from "node:fs/promises";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { RouteState } from "@sallyport/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DOMAIN, hostOf, readAll, route, sandbox, World } from "../test/world.ts";

let world: World;

beforeEach(async () => {
  world = await World.start();
});

afterEach(() => world[Symbol.asyncDispose]());

/** Says back what it is told, and ends when its client does. */
const echo = (socket: Socket) => void socket.pipe(socket);

describe("a TLS tunnel", () => {
  it("leads into the sandbox, by the one certificate of its host", async () => {
    await world.app(5432, echo);
    world.api.tell({ routes: [route(1, [{ port: 5432 }])] });
    const { port } = await world.edge();
    await world.api.settled();
    const client = world.dial(port, hostOf(5432));
    await once(client, "secureConnect");
    expect(client.getPeerCertificate().subjectaltname).toBe(`DNS:${hostOf(5432)}`);
    client.end("hello");
    expect((await buffer(client)).toString()).toBe("hello");
    expect(world.gateway.requests).toEqual([
      { sandboxId: sandbox(1), instanceId: sandbox(1).replace("sb", "in"), port: 5432, grantPort: 5432 },
    ]);
  });

  it("lets servers speak first", async () => {
    await world.app(22, (socket) => socket.write("SSH-2.0-here\r\n"));
    world.api.tell({ routes: [route(1, [{ port: 22 }])] });
    const { port } = await world.edge();
    await world.api.settled();
    const client = world.dial(port, hostOf(22));
    const [greeting] = (await once(client, "data")) as [Buffer];
    expect(greeting.toString()).toBe("SSH-2.0-here\r\n");
  });

  it("waits for a gateway that is away for a moment", async () => {
    await world.app(80, echo);
    world.api.tell({ routes: [route(1, [{ port: 80 }])] });
    const away = `${world.gateway.path}.away`;
    await rename(world.gateway.path, away);
    const { port } = await world.edge();
    await world.api.settled();
    const client = world.dial(port, hostOf(80));
    await once(client, "secureConnect");
    client.end("hello");
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    await rename(away, world.gateway.path);
    expect((await buffer(client)).toString()).toBe("hello");
  });

  it("ends in order when there is nothing behind it", async () => {
    world.api.tell({ routes: [route(1, [{ port: 80 }])] });
    const { port } = await world.edge({ SALLYPORT_TUNNEL_START_RETRY_MS: "50" });
    await world.api.settled();
    const client = world.dial(port, hostOf(80));
    expect(await readAll(client)).toEqual({ bytes: Buffer.alloc(0), end: "end" });
  });

  it("is over within a second when its sandbox is, and then like one that never was", async () => {
    await world.app(80, echo);
    const declared = [{ port: 80 }];
    world.api.tell({ routes: [route(1, declared)] });
    const { port } = await world.edge();
    await world.api.settled();
    const client = world.dial(port, hostOf(80));
    client.write("hello");
    await once(client, "data");
    const over = readAll(client);
    await world.api.tellAll({ routes: [route(1, declared, { state: RouteState.ENDED })] });
    expect((await over).end).toBe("ECONNRESET");
    const refusals = [hostOf(80), hostOf(81), `www.${DOMAIN}`].map(async (name) => await alertFor(port, name));
    expect(new Set(await Promise.all(refusals))).toEqual(new Set(["ERR_SSL_TLSV1_UNRECOGNIZED_NAME"]));
  });
});

async function alertFor(port: number, servername: string): Promise<string> {
  const client = world.dial(port, servername);
  const [error] = (await once(client, "error")) as [Error & { code?: string }];
  return String(error.code);
}

describe("an HTTP/2 tunnel", () => {
  it("leads to HTTP/2 in clear, for its own host alone", async () => {
    const app = createHttp2Server((request, response) => response.end(`${request.authority}${request.url}`));
    app.listen(0, "127.0.0.1");
    await once(app, "listening");
    world.stack.defer(() => void app.close());
    const { port: loopbackPort } = app.address() as AddressInfo;
    world.gateway.lead(sandbox(1).replace("sb", "in"), 50_051, { loopbackPort });
    world.api.tell({ routes: [route(1, [{ port: 50_051, label: 5, kind: "h2" }])] });
    const edge = await world.edge();
    await world.api.settled();
    const session = connectHttp2(`https://${hostOf(5)}:${edge.port}`, {
      createConnection: () => world.dial(edge.port, hostOf(5), { ALPNProtocols: ["h2"] }),
    });
    const ask = async (authority: string) => {
      const stream = session.request({ ":path": "/a", ":authority": authority });
      const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
      return [headers[":status"], (await buffer(stream)).toString()];
    };
    const own = `${hostOf(5)}:${edge.port}`;
    expect(await ask(own)).toEqual([200, `${own}/a`]);
    expect(await ask(`${hostOf(6)}:${edge.port}`)).toEqual([421, ""]);
    session.destroy();
    await vi.waitFor(async () =>
      expect(await world.metrics()).toContain('sallyport_tunnel_connections_total{kind="h2"'),
    );
  });
});

describe("what is written down", () => {
  it("is a line for each connection, and figures by kind", async () => {
    await world.app(80, echo);
    world.api.tell({ routes: [route(1, [{ port: 80 }])] });
    const edge = await world.edge();
    await world.api.settled();
    const client = world.dial(edge.port, hostOf(80));
    client.end("hello");
    await buffer(client);
    await vi.waitFor(async () =>
      expect(await world.metrics()).toContain('sallyport_tunnel_connections_total{kind="tls",end="complete"} 1'),
    );
    await alertFor(edge.port, hostOf(1));
    const metrics = await world.metrics();
    expect(metrics).toContain('sallyport_tunnel_bytes_total{kind="tls",direction="in"} 5');
    expect(metrics).toContain('sallyport_tunnel_refusals_total{door="tls",reason="server-name"} 1');
    for (const line of metrics.trimEnd().split("\n")) {
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+)$/);
    }
    expect(metrics).not.toContain("tn-");
    await edge[Symbol.asyncDispose]();
    const lines = await world.lines();
    expect(lines.length).toBe(1);
    const { ms, time, ...line } = lines[0] ?? {};
    expect([typeof ms, typeof time]).toEqual(["number", "string"]);
    expect(line).toEqual({
      sandboxId: sandbox(1),
      port: 80,
      kind: "tls",
      peer: "127.0.0.1",
      end: "complete",
      inBytes: 5,
      outBytes: 5,
    });
  });
});
