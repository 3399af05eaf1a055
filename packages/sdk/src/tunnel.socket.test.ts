// Tunnels as programs ask for them and use them: real protos, real TLS of HTTP/1.1 and HTTP/2 from an authority that nobody
// trusts, and edges that have confirmed, have not, or are not there.
import { once } from "node:events";
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Authority } from "@sallyport/testkit/certificates";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CreateOptions } from "./index.ts";
import { Client, Sandbox } from "./index.ts";

const PORTS = { encryptedPorts: [8_000], h2Ports: [8_001], unencryptedPorts: [8_002] } as const;
const hostOf = (port: number) => `tn-${String(port).padStart(26, "0")}.localhost`;

let authority: Authority;
let server: Http2SecureServer;
let platform: FakePlatform;
let client: Client;
beforeAll(async () => {
  authority = await makeAuthority();
  const names = [8_000, 8_001, 8_002].map(hostOf);
  server = createSecureServer({ ...(await authority.issue(names)), allowHTTP1: true });
  server.on("request", (request: Http2ServerRequest, response: Http2ServerResponse) => {
    if (request.url === "/elsewhere") response.writeHead(307, { location: "https://127.0.0.1/" }).end();
    else if (request.url === "/within") response.writeHead(302, { location: "/there" }).end();
    else response.end(`${request.httpVersion} ${request.headers[":authority"] ?? request.headers.host} ${request.url}`);
  });
  server.listen(0, "::");
  await once(server, "listening");
});
afterAll(async () => {
  server.close();
});
beforeEach(async () => {
  platform = await FakePlatform.start();
  platform.tunnels.tlsPort = (server.address() as AddressInfo).port;
  platform.tunnels.caPem = authority.pem;
  client = new Client({ url: platform.apiUrl, token: platform.token });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
});

describe("ports of a create", () => {
  it("go as they are declared, and come back with the sandbox", async () => {
    const sandbox = await Sandbox.create({
      ...PORTS,
      client,
      proxyProtocolPorts: [8_002],
      inboundCidrAllowlist: ["198.51.100.0/24"],
    });
    expect(platform.sandboxes.get(sandbox.id)?.request).toMatchObject({
      ...PORTS,
      proxyProtocolPorts: [8_002],
      inboundCidrAllowlist: { cidrs: ["198.51.100.0/24"] },
    });
    expect(sandbox.info.ports).toEqual([
      { port: 8_000, kind: "tls", proxyProtocol: false },
      { port: 8_001, kind: "h2", proxyProtocol: false },
      { port: 8_002, kind: "raw", proxyProtocol: true },
    ]);
    expect(sandbox.info.inboundCidrAllowlist).toEqual(["198.51.100.0/24"]);
  });

  it("tell an empty allow list, which lets nobody in, from none", async () => {
    const none = await Sandbox.create({ client });
    const empty = await Sandbox.create({ client, inboundCidrAllowlist: [] });
    const requests = [none, empty].map(({ id }) => platform.sandboxes.get(id)?.request.inboundCidrAllowlist);
    expect(requests).toEqual([undefined, { cidrs: [] }]);
    expect([none, empty].map(({ info }) => info.inboundCidrAllowlist)).toEqual([undefined, []]);
  });

  it.each<[string, object]>([
    ["encryptedPorts[0]", { encryptedPorts: ["8000"] }],
    ["encryptedPorts[1]", { encryptedPorts: [1, undefined] }],
    ["h2Ports[0]", { h2Ports: [1.5] }],
    ["unencryptedPorts[0]", { unencryptedPorts: [-1] }],
    ["unencryptedPorts", { unencryptedPorts: 8_000 }],
    ["inboundCidrAllowlist", { inboundCidrAllowlist: "198.51.100.0/24" }],
    ["inboundCidrAllowlist[0]", { inboundCidrAllowlist: [1] }],
  ])("refuse what has no form on the wire: %s", async (field, options) => {
    const made = Sandbox.create({ client, ...(options as CreateOptions) });
    await expect(made).rejects.toMatchObject({ code: "InvalidArgument", field });
    expect(platform.calls).toEqual([]);
  });

  it.each([
    ["encrypted_ports[1]", "encryptedPorts[1]"],
    ["h2_ports[0]", "h2Ports[0]"],
    ["unencrypted_ports", "unencryptedPorts"],
    ["proxy_protocol_ports[2]", "proxyProtocolPorts[2]"],
    ["inbound_cidr_allowlist.cidrs[3]", "inboundCidrAllowlist[3]"],
  ])("are refused by the name of the option: %s", async (wire, field) => {
    platform.fail("createSandbox", { code: "InvalidArgument", field: wire });
    await expect(Sandbox.create({ client })).rejects.toMatchObject({
      field,
      message: expect.stringMatching(field.replace(/[[\]]/g, "\\$&")) as string,
    });
  });
});

describe("tunnels", () => {
  it("are addresses by port", async () => {
    const sandbox = await Sandbox.create({ ...PORTS, client, proxyProtocolPorts: [8_002] });
    const tunnels = await sandbox.tunnels();
    const { tlsPort } = platform.tunnels;
    expect(Object.keys(tunnels)).toEqual(["8000", "8001", "8002"]);
    expect(tunnels[8_000]).toMatchObject({
      sandboxPort: 8_000,
      kind: "tls",
      host: hostOf(8_000),
      port: tlsPort,
      url: `https://${hostOf(8_000)}:${tlsPort}`,
      tlsSocket: [hostOf(8_000), tlsPort],
      tcpSocket: undefined,
      proxyProtocol: false,
      caPem: authority.pem,
    });
    expect(tunnels[8_002]).toMatchObject({ kind: "raw", tcpSocket: ["127.0.0.2", 28_002], proxyProtocol: true });
    expect((await sandbox.tunnel(8_001)).host).toBe(hostOf(8_001));
    const byId = await Sandbox.fromId(sandbox.id, { client });
    expect((await byId.tunnel(8_002)).tcpSocket).toEqual(["127.0.0.2", 28_002]);
  });

  it("are none where none was declared, at once", async () => {
    platform.tunnels.edges = 0;
    const sandbox = await Sandbox.create({ client });
    expect(await sandbox.tunnels()).toEqual({});
  });

  it("are not there for a port that was not declared", async () => {
    const sandbox = await Sandbox.create({ ...PORTS, client });
    const byId = await Sandbox.fromId(sandbox.id, { client });
    await expect(byId.tunnel(9_000)).rejects.toMatchObject({ code: "InvalidArgument", field: "port" });
    expect(platform.calls).not.toContain("listTunnels");
  });

  it("are waited for, as long as the api waits for the edges", async () => {
    const sandbox = await Sandbox.create({ ...PORTS, client });
    platform.tunnels.live = false;
    const waiting = sandbox.tunnels();
    await expect.poll(() => platform.tunnels.waits).toHaveLength(1);
    platform.tunnels.live = true;
    expect(Object.keys(await waiting)).toHaveLength(3);
    // 50 s, less what the last answer takes.
    expect(platform.tunnels.waits[0]).toBeGreaterThan(48_000);
    expect(platform.tunnels.waits[0]).toBeLessThanOrEqual(49_000);
  });

  it.each([
    ["no edge is there", { edges: 0, staleEdges: [] }, /^no tunnel-edge is there: /],
    [
      "the only edge is out of reach",
      { edges: 0, staleEdges: ["te-1"] },
      /^no tunnel-edge is there; out of reach: te-1: /,
    ],
    ["an edge has not confirmed", { edges: 2, staleEdges: ["te-3"] }, /^2 tunnel-edges .*; out of reach: te-3$/],
  ])("say what is missing when the time is over: %s", async (_what, state, hint) => {
    const sandbox = await Sandbox.create({ ...PORTS, client });
    Object.assign(platform.tunnels, { live: false, ...state });
    await expect(sandbox.tunnels({ timeoutMs: 300 })).rejects.toMatchObject({
      code: "DeadlineExceeded",
      message: "Sandbox.tunnels did not finish within 300 ms",
      hint: expect.stringMatching(hint) as string,
    });
  });

  it("end with the sandbox, and with the signal", async () => {
    const sandbox = await Sandbox.create({ ...PORTS, client });
    platform.tunnels.live = false;
    const leave = new AbortController();
    const cancelled = sandbox.tunnels({ signal: leave.signal });
    const refused = expect(cancelled).rejects.toMatchObject({ code: "Cancelled", cause: "enough" });
    await expect.poll(() => platform.tunnels.waits).toHaveLength(1);
    leave.abort("enough");
    await refused;
    const ended = expect(sandbox.tunnels()).rejects.toMatchObject({ code: "SandboxEnded" });
    await expect.poll(() => platform.tunnels.waits).toHaveLength(2);
    await sandbox.terminate();
    await ended;
  });
});

describe("fetch of a tunnel", () => {
  it("resolves its name, trusts its authority, and speaks the port's HTTP", async () => {
    const tunnels = await (await Sandbox.create({ ...PORTS, client })).tunnels();
    for (const [port, version] of [
      [8_000, "1.1"],
      [8_001, "2.0"],
    ] as const) {
      const { host, port: tlsPort } = tunnels[port];
      const response = await tunnels[port].fetch("/items?page=2");
      expect(await response.text()).toBe(`${version} ${host}:${tlsPort} /items?page=2`);
    }
  });

  it("goes nowhere else", async () => {
    const tunnel = await (await Sandbox.create({ ...PORTS, client })).tunnel(8_000);
    for (const path of ["//127.0.0.1/", "https://127.0.0.1/", "http://user:x@[::1]/"]) {
      await expect(tunnel.fetch(path)).rejects.toMatchObject({ code: "InvalidArgument", field: "path" });
    }
    await expect(tunnel.fetch("/elsewhere")).rejects.toMatchObject({ code: "FailedPrecondition" });
    expect((await tunnel.fetch("/elsewhere", { redirect: "manual" })).status).toBe(307);
    expect(await (await tunnel.fetch("/within")).text()).toMatch(/ \/there$/);
  });

  it("trusts nobody whom the platform does not name", async () => {
    platform.tunnels.caPem = "";
    const tunnel = await (await Sandbox.create({ ...PORTS, client })).tunnel(8_000);
    expect(tunnel.caPem).toBeUndefined();
    await expect(tunnel.fetch("/")).rejects.toThrow(TypeError);
  });
});
