// What the door lets in: by name, by address, by protocol; and what is not the tunnel-edge's own.
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { ConnectionOptions } from "node:tls";
import { RouteState } from "@sallyport/contracts";
import { formatProxyHeader, ProxyHeaderReader } from "@sallyport/dataplane/proxy-v2";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DOMAIN, freePort, hostOf, RAW_ADDRESS, readAll, route, sandbox, World } from "../test/world.ts";

let world: World;

beforeEach(async () => {
  world = await World.start();
});

afterEach(() => world[Symbol.asyncDispose]());

const echo = (socket: Socket) => void socket.pipe(socket);
const UNKNOWN = "ERR_SSL_TLSV1_UNRECOGNIZED_NAME";
const NO_PROTOCOL = "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL";

/** The protocol that is agreed on ("none" when none is), or the error's code. */
async function visit(port: number, servername: string, options: ConnectionOptions = {}): Promise<string> {
  const client = world.dial(port, servername, options);
  try {
    await once(client, "secureConnect");
    return client.alpnProtocol === false || client.alpnProtocol === null ? "none" : client.alpnProtocol;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  } finally {
    client.destroy();
  }
}

describe("names", () => {
  it("lead to their own tunnel however they are written, and to no other", async () => {
    await world.app(80, echo);
    world.api.tell({ routes: [route(1, [{ port: 80 }])] });
    const { port } = await world.edge();
    await world.api.settled();
    const host = hostOf(80);
    // The certificate is for the name as it stands in DNS.
    const options = { checkServerIdentity: () => undefined };
    for (const name of [host, host.toUpperCase(), `${host}.`]) expect(await visit(port, name, options)).toBe("none");
    for (const name of [
      "",
      DOMAIN,
      `a.${host}`,
      `${host}.example`,
      host.replace("tn-", "sb-"),
      host.replace("tn-", "tm-"),
      `${host.slice(0, 29)}0.${DOMAIN}`,
      `${sandbox(1)}.${DOMAIN}`,
    ]) {
      expect(await visit(port, name, options), name).toBe(UNKNOWN);
    }
    expect(world.gateway.requests.length).toBeLessThanOrEqual(3);
  });

  it("of one sandbox are not reached by the session of another", async () => {
    await world.app(80, (socket) => socket.end("first"), 1);
    await world.app(81, (socket) => socket.end("second"), 2);
    world.api.tell({ routes: [route(1, [{ port: 80 }]), route(2, [{ port: 81 }])] });
    const { port } = await world.edge();
    await world.api.settled();
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const versions = { minVersion: version, maxVersion: version };
      const client = world.dial(port, hostOf(80), versions);
      const given = once(client, "session") as Promise<[Buffer]>;
      expect((await buffer(client)).toString()).toBe("first");
      const [session] = await given;
      for (const [number, isReused] of [
        [81, false],
        [80, true],
      ] as const) {
        const next = world.dial(port, hostOf(number), { ...versions, session });
        await once(next, "secureConnect");
        expect(next.isSessionReused()).toBe(isReused);
        expect((await buffer(next)).toString()).toBe(number === 80 ? "first" : "second");
      }
    }
  });
});

describe("protocols", () => {
  it("are the app's own over TLS, and HTTP/2 alone at a port for it", async () => {
    for (const port of [80, 90]) await world.app(port, echo);
    world.api.tell({ routes: [route(1, [{ port: 80 }, { port: 90, kind: "h2" }])] });
    const { port } = await world.edge();
    await world.api.settled();
    const at = (number: number, ...alpn: string[]) =>
      visit(port, hostOf(number), alpn.length === 0 ? {} : { ALPNProtocols: alpn });
    expect(await at(80)).toBe("none");
    expect(await at(80, "h2", "http/1.1")).toBe("http/1.1");
    expect(await at(80, "h2")).toBe(NO_PROTOCOL);
    expect(await at(90, "http/1.1", "h2")).toBe("h2");
    expect(await at(90, "http/1.1")).toBe(NO_PROTOCOL);
    expect(await at(90)).toBe(NO_PROTOCOL);
  });
});

describe("who may come", () => {
  it("is told apart by address, at both doors; whoever may not learns of no tunnel", async () => {
    const publicPort = await freePort();
    await world.app(80, echo);
    const declared = [{ port: 80, kind: "raw" as const, publicPort }];
    world.api.tell({ routes: [route(1, declared, { inbound: ["127.0.0.8/29"] })] });
    const edge = await world.edge({ SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535" });
    const { port } = edge;
    await world.api.settled();
    const from = (localAddress: string) => visit(port, hostOf(80), { localAddress } as ConnectionOptions);
    expect(await from("127.0.0.9")).toBe("none");
    expect(await from("127.0.0.16")).toBe(UNKNOWN);
    const friend = await world.dialRaw(publicPort, undefined, "127.0.0.9");
    friend.end("hello");
    expect((await buffer(friend)).toString()).toBe("hello");
    const asked = world.gateway.requests.length;
    const stranger = connect({ host: RAW_ADDRESS, port: publicPort, localAddress: "127.0.0.16" });
    expect((await readAll(stranger)).end).toBe("ECONNRESET");
    expect(world.gateway.requests.length).toBe(asked);
    const metrics = await world.metrics();
    for (const door of ["tls", "raw"]) {
      expect(metrics).toContain(`sallyport_tunnel_refusals_total{door="${door}",reason="not-allowed"} 1`);
    }
    await edge[Symbol.asyncDispose]();
    const strangers = (await world.lines()).filter(({ peer }) => peer === "127.0.0.16");
    expect(strangers.map(({ kind, refusal, sandboxId }) => [refusal, kind, sandboxId])).toEqual([
      ["not-allowed", "tls", sandbox(1)],
      ["not-allowed", "raw", sandbox(1)],
    ]);
  });

  it("is asked again when the list changes, of those who are there too", async () => {
    await world.app(80, echo);
    world.api.tell({ routes: [route(1, [{ port: 80 }])] });
    const { port } = await world.edge();
    await world.api.settled();
    const client = world.dial(port, hostOf(80));
    client.write("hello");
    await once(client, "data");
    await world.api.tellAll({ routes: [route(1, [{ port: 80 }], { inbound: ["127.0.0.0/8"] })] });
    client.write("still there");
    await once(client, "data");
    const over = readAll(client);
    await world.api.tellAll({ routes: [route(1, [{ port: 80 }], { inbound: [] })] });
    expect((await over).end).toBe("ECONNRESET");
  });
});

describe("PROXY headers", () => {
  it("tell the app who has come, where its port is declared so", async () => {
    const publicPort = await freePort();
    const heard: string[] = [];
    await world.app(80, (socket) => {
      void buffer(socket).then((bytes) => {
        const result = new ProxyHeaderReader().push(bytes);
        if (result.state !== "header" || result.header.kind !== "tcp") throw new Error("no header");
        heard.push(`${result.header.source.address} ${result.header.destination.port} ${result.rest.toString()}`);
        socket.end();
      });
    });
    const declared = [{ port: 80, kind: "raw" as const, publicPort, proxyProtocol: true }];
    world.api.tell({ routes: [route(1, declared)] });
    const { port } = await world.edge({ SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535" });
    await world.api.settled();
    const secure = world.dial(port, hostOf(80));
    const plain = await world.dialRaw(publicPort, undefined, "127.0.0.9");
    for (const client of [secure, plain]) {
      client.end("hello");
      await buffer(client);
    }
    expect(heard.sort()).toEqual([`127.0.0.1 ${port} hello`, `127.0.0.9 ${publicPort} hello`]);
  });
});

describe("a load balancer in front", () => {
  it("brings nobody to the sandbox that gets a port while it has yet to say for whom it comes", async () => {
    const publicPort = await freePort();
    await world.app(80, echo, 1);
    await world.app(80, echo, 2);
    const declared = { port: 80, kind: "raw" as const, publicPort };
    world.api.tell({ routes: [route(1, [declared])] });
    await world.edge({ SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535", SALLYPORT_TUNNEL_TRUSTED_PROXIES: "127.0.0.9" });
    await world.api.settled();
    const client = await world.dialRaw(publicPort, undefined, "127.0.0.9");
    await vi.waitFor(async () => expect(await world.metrics()).toMatch(/^sallyport_tunnel_handshakes 1$/m));
    world.api.tell({
      routes: [route(1, [declared], { state: RouteState.ENDED }), route(2, [{ ...declared, label: 2 }])],
    });
    await world.api.settled();
    const ends = {
      source: { address: "198.51.100.7", port: 4_000 },
      destination: { address: "198.51.100.1", port: 1 },
    };
    client.end(Buffer.concat([formatProxyHeader({ kind: "tcp", ...ends }), Buffer.from("hello")]));
    expect((await readAll(client)).bytes.toString()).toBe("");
    expect(world.gateway.requests).toEqual([]);
  });

  it("has no more places than others for clients whose addresses are in its network", async () => {
    const publicPort = await freePort();
    await world.app(80, echo);
    world.api.tell({ routes: [route(1, [{ port: 80, kind: "raw", publicPort }])] });
    await world.edge({
      SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535",
      SALLYPORT_TUNNEL_TRUSTED_PROXIES: "127.0.0.8/29",
      SALLYPORT_TUNNEL_CONNECTIONS_PER_ADDRESS: "2",
    });
    await world.api.settled();
    const come = async (address: string) => {
      const client = await world.dialRaw(publicPort, undefined, "127.0.0.9");
      const source = { address, port: 4_000 };
      const header = formatProxyHeader({ kind: "tcp", source, destination: { address: "198.51.100.1", port: 1 } });
      client.write(Buffer.concat([header, Buffer.from("hello")]));
      const served = new Promise((resolve) => client.once("data", () => resolve("served")));
      return await Promise.race([served, readAll(client).then(() => "refused")]);
    };
    const answers = [await come("127.0.0.10"), await come("127.0.0.10"), await come("127.0.0.10")];
    expect([...answers, await come("127.0.0.11")]).toEqual(["served", "served", "refused", "served"]);
  });

  it("is believed where it is listed, at both doors, and has to say for whom it comes", async () => {
    const publicPort = await freePort();
    await world.app(80, echo);
    const declared = [{ port: 80, kind: "raw" as const, publicPort }];
    world.api.tell({ routes: [route(1, declared, { inbound: ["198.51.100.0/24"] })] });
    const { port } = await world.edge({
      SALLYPORT_TUNNEL_RAW_PORTS: "1024-65535",
      SALLYPORT_TUNNEL_TRUSTED_PROXIES: "127.0.0.9",
    });
    await world.api.settled();
    const headerFrom = (address: string) =>
      formatProxyHeader({
        kind: "tcp",
        source: { address, port: 4_000 },
        destination: { address: "198.51.100.1", port: 443 },
      });
    const raw = async (localAddress: string, first: Buffer) => {
      const client = connect({ host: RAW_ADDRESS, port: publicPort, localAddress });
      client.end(Buffer.concat([first, Buffer.from("hello")]));
      return (await readAll(client)).bytes.toString();
    };
    const secure = async (localAddress: string, first: Buffer) => {
      const transport = await world.dialRaw(port, "127.0.0.1", localAddress);
      transport.write(first);
      const client = world.dial(port, hostOf(80), { socket: transport });
      client.end("hello");
      return (await readAll(client)).bytes.toString();
    };
    for (const send of [raw, secure]) {
      expect(await send("127.0.0.9", headerFrom("198.51.100.7"))).toBe("hello");
      expect(await send("127.0.0.9", headerFrom("127.0.0.1"))).toBe("");
      expect(await send("127.0.0.9", Buffer.from("no header at all"))).toBe("");
      expect(await send("127.0.0.8", headerFrom("198.51.100.7"))).toBe("");
    }
  });
});

describe("connect hosts", () => {
  it("are handed over unopened with their client's address, to the next process where one is gone", async () => {
    const socketPath = join(world.home, "handover.sock");
    const taken: Buffer[] = [];
    const proxy = createServer((socket) => {
      socket.once("data", (bytes) => {
        taken.push(bytes);
        socket.end("from the connect-proxy");
      });
    });
    proxy.listen(socketPath);
    await once(proxy, "listening");
    world.stack.defer(() => void proxy.close());
    const gone = join(world.home, "gone.sock");
    const { port } = await world.edge({ SALLYPORT_TUNNEL_CONNECT_SOCKETS: `${gone},${socketPath}` });
    for (const _turn of [1, 2]) {
      const client = world.dial(port, `${sandbox(1)}.${DOMAIN}`);
      client.on("error", () => client.destroy());
      await new Promise((resolve) => client.once("close", resolve));
    }
    expect(taken.length).toBe(2);
    for (const bytes of taken) {
      const result = new ProxyHeaderReader().push(bytes);
      if (result.state !== "header" || result.header.kind !== "tcp") throw new Error("no header");
      expect(result.header.source.address).toBe("127.0.0.1");
      expect(result.header.destination.port).toBe(port);
      expect([...result.rest.subarray(0, 2)]).toEqual([0x16, 0x03]); // the ClientHello
    }
    expect(await world.metrics()).toContain('sallyport_tunnel_handed_over_total{taken="true"} 2');
  });

  it("get an alert when no process takes them", async () => {
    const { port } = await world.edge({ SALLYPORT_TUNNEL_CONNECT_SOCKETS: join(world.home, "gone.sock") });
    expect(await visit(port, `${sandbox(1)}.${DOMAIN}`)).toBe("ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR");
    expect(await visit(port, `${sandbox(1).replace("sb", "in")}.${DOMAIN}`)).toBe(UNKNOWN);
  });
});

it("sheds a flood from one address, and serves the others", async () => {
  await world.app(80, echo);
  world.api.tell({ routes: [route(1, [{ port: 80 }])] });
  const { port } = await world.edge({ SALLYPORT_TUNNEL_CONNECTIONS_PER_SANDBOX: "8" });
  await world.api.settled();
  const flood = Array.from({ length: 24 }, () =>
    world.dial(port, hostOf(80), { localAddress: "127.0.0.9" } as ConnectionOptions),
  );
  for (const client of flood) client.on("error", () => client.destroy());
  await vi.waitFor(async () => expect(await world.metrics()).toMatch(/sallyport_tunnel_refusals_total.*"sandbox"/));
  const client = world.dial(port, hostOf(80));
  client.end("hello");
  expect((await buffer(client)).toString()).toBe("hello");
});
