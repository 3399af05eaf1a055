// Tunnels from end to end: what was declared, the edge, the gateway, and servers under gVisor.
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import type { Client, CreateOptions } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { ask, tcpTo, tlsTo, tunnelApp } from "@sallyport/testkit/tunnel-app";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const PATIENCE = { timeout: 20_000, interval: 50 };
const targets = inject("targets");
let client: Client;
beforeAll(async () => {
  client = (await newWorkspace("tunnels")).client;
});
afterAll(() => client[Symbol.asyncDispose]());

const servers = <P extends number>(options: CreateOptions<P>, ...modes: readonly string[]) =>
  Sandbox.create(tunnelApp(...modes), { client, ...options });

describe("a tunnel", () => {
  it("leads to a server of the sandbox as in the guide, by its URL", async () => {
    await using sandbox = await Sandbox.create(["python3", "-m", "http.server", "12345"], {
      client,
      encryptedPorts: [12_345],
    });
    const tunnel = (await sandbox.tunnels())[12_345];
    expect(tunnel.host).toMatch(/^tn-[0-9a-z]{26}\.localhost$/);
    expect(tunnel.url).toBe(`https://${tunnel.host}:${tunnel.port}`);
    expect(tunnel.tcpSocket).toBeUndefined();
    const request = `GET /etc/ HTTP/1.0\r\nHost: ${tunnel.host}\r\n\r\n`;
    expect(await ask(tlsTo(tunnel, tunnel.caPem ?? ""), request)).toMatch(/^HTTP\/1.0 200 OK.*hostname/s);
  });

  it("carries whatever the two say: half-closed, many bytes both ways, the server first", async () => {
    await using sandbox = await servers(
      { encryptedPorts: [7_000], unencryptedPorts: [7_001, 7_002] },
      "echo:7000",
      "sum:7001",
      "first:7002",
    );
    const { 7000: echo, 7001: sum, 7002: first } = await sandbox.tunnels();
    const ca = echo.caPem ?? "";
    expect(await ask(tlsTo(echo, ca), "hello")).toBe("hellobye");
    const bytes = Buffer.alloc(3_000_000, "x");
    expect(await ask(tlsTo(echo, ca), bytes)).toBe(`${bytes.toString()}bye`);
    // A raw port is reached both ways.
    for (const socket of [tcpTo(sum), tlsTo(sum, ca)])
      expect(await ask(socket, bytes)).toMatch(/^3000000 [0-9a-f]{64}\n$/);
    for (const socket of [tcpTo(first), tlsTo(first, ca)]) {
      const [greeting] = (await once(socket, "data")) as [Buffer];
      expect(greeting.toString()).toBe("220 sandbox\r\n");
      expect(await ask(socket, "EHLO")).toBe("EHLObye");
    }
  });

  it("waits for a server that is only starting, and ends what none comes for: by a reset, over TLS in order", async () => {
    await using sandbox = await Sandbox.create(["sh", "-c", "sleep 1; exec python3 -m http.server 9000"], {
      client,
      encryptedPorts: [9_000],
      unencryptedPorts: [9_001],
    });
    const { 9000: late, 9001: never } = await sandbox.tunnels();
    expect(await ask(tlsTo(late, late.caPem ?? ""), "GET / HTTP/1.0\r\n\r\n")).toContain("200 OK");
    expect(await ask(tlsTo(never, never.caPem ?? ""), "GET / HTTP/1.0\r\n\r\n")).toBe("");
    await expect(ask(tcpTo(never), "GET / HTTP/1.0\r\n\r\n")).rejects.toThrow("ECONNRESET");
  });

  it("is there for a sandbox that reaches nothing, and opens nothing for it", async () => {
    await using sandbox = await servers({ encryptedPorts: [7_000], blockNetwork: true }, "echo:7000");
    const { 7000: echo } = await sandbox.tunnels();
    expect(await ask(tlsTo(echo, echo.caPem ?? ""), "in")).toBe("inbye");
    const out = `timeout 3 bash -c 'cat </dev/tcp/${targets.outsideIpv4}/${targets.port}' && echo out || echo blocked`;
    expect((await sandbox.run(["sh", "-c", out])).stdout).toBe("blocked\n");
  });

  it("wakes a sandbox that sleeps", async () => {
    await using sandbox = await servers({ unencryptedPorts: [7_000], sleepAfterMs: 1_000 }, "echo:7000");
    const { 7000: echo } = await sandbox.tunnels();
    const isAsleep = async () => (await Sandbox.fromId(sandbox.id, { client })).info.asleep;
    for (const open of [() => tcpTo(echo), () => tlsTo(echo, echo.caPem ?? "")]) {
      await expect.poll(isAsleep, PATIENCE).toBe(true);
      expect(await ask(open(), "wake")).toBe("wakebye");
    }
  });

  it("is over with its sandbox, with all that runs through it", async () => {
    const sandbox = await servers({ encryptedPorts: [7_000], unencryptedPorts: [7_001] }, "echo:7000", "echo:7001");
    const { 7000: tls, 7001: raw } = await sandbox.tunnels();
    const ca = tls.caPem ?? "";
    const open = [tlsTo(tls, ca), tcpTo(raw), tlsTo(raw, ca)];
    for (const socket of open) {
      socket.write("x");
      await once(socket, "data");
    }
    const closed = Promise.all(
      open.map((socket) => new Promise((resolve) => socket.on("error", () => undefined).once("close", resolve))),
    );
    const [port = 0] = [raw.tcpSocket?.[1]];
    await sandbox.terminate();
    await closed;
    await expect(ask(tlsTo(tls, ca), "x")).rejects.toThrow();
    await expect(ask(tcpTo(raw), "x")).rejects.toThrow();
    // The public port rests: whoever still knows it does not come to somebody else.
    await using next = await servers({ unencryptedPorts: [7_001] }, "echo:7001");
    const { 7001: other } = await next.tunnels();
    expect(other.tcpSocket?.[1]).not.toBe(port);
    expect(await ask(tcpTo(other), "x")).toBe("xbye");
  });

  it("is at no address of the others: raw ports at one of their own, TLS ports by their names alone", async () => {
    await using sandbox = await servers({ unencryptedPorts: [7_000] }, "echo:7000");
    const { 7000: echo } = await sandbox.tunnels();
    const [address, port] = echo.tcpSocket ?? ["", 0];
    expect([address, echo.tlsSocket[1]]).not.toEqual(["127.0.0.1", port]);
    const alertFor = async (servername: string | undefined) => {
      const socket = connectTls({
        host: "127.0.0.1",
        port: echo.tlsSocket[1],
        rejectUnauthorized: false,
        ...(servername === undefined ? {} : { servername }),
      });
      const [error] = (await once(socket, "error")) as [Error];
      return error.message;
    };
    for (const name of [undefined, "localhost", "tn-00000000000000000000000000.localhost", "example.com"]) {
      expect(await alertFor(name), name).toMatch(/unrecognized.name/i);
    }
  });
});

describe("a create", () => {
  it("is refused for ports that cannot be, by their option", async () => {
    const refused = (options: object) =>
      Sandbox.create({ client, ...options }).then(
        () => "created",
        (error: { code: string; field?: string }) => [error.code, error.field],
      );
    expect(await refused({ encryptedPorts: [0] })).toEqual(["InvalidArgument", "encryptedPorts[0]"]);
    expect(await refused({ h2Ports: [65_536] })).toEqual(["InvalidArgument", "h2Ports[0]"]);
    expect(await refused({ encryptedPorts: [80], unencryptedPorts: [80] })).toEqual([
      "InvalidArgument",
      "unencryptedPorts[0]",
    ]);
    expect(await refused({ encryptedPorts: Array.from({ length: 17 }, (_, at) => at + 1) })).toMatchObject([
      "InvalidArgument",
      expect.stringContaining("encryptedPorts") as string,
    ]);
    expect(await refused({ inboundCidrAllowlist: ["127.0.0.1/8x"] })).toEqual([
      "InvalidArgument",
      "inboundCidrAllowlist[0]",
    ]);
  });
});
