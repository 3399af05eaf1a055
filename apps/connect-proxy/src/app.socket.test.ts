import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createServer, request as requestHttp } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { generateSigningKey, issueConnectToken, SigningKey } from "@sallyport/connect-token/issue";
import { RouteState } from "@sallyport/contracts";
import { formatProxyHeader } from "@sallyport/dataplane/proxy-v2";
import type { Authority } from "@sallyport/testkit/certificates";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { FakeEdgeService } from "@sallyport/testkit/edge-service";
import type { GatewayDoor } from "@sallyport/testkit/gateway-door";
import { startGatewayDoor } from "@sallyport/testkit/gateway-door";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startProxy } from "../test/attack/proxy.ts";
import { DOMAIN, PLATFORM_ID, sandbox } from "../test/names.ts";

const SANDBOX = sandbox(1);
const INSTANCE = SANDBOX.replace("sb", "in");
const WORKSPACE = SANDBOX.replace("sb", "ws");
const HOST = `${SANDBOX}.${DOMAIN}`;

let home: string;
let authority: Authority;
let api: FakeEdgeService;
let gateway: GatewayDoor;
let key: SigningKey;
let stack: AsyncDisposableStack;
/** Answers that the app holds back. */
let held: (() => void)[];

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  home = await mkdtemp(join(tmpdir(), "proxy-"));
  stack.defer(() => rm(home, { recursive: true, force: true }));
  held = [];
  const app = createServer((incoming, response) => {
    const answer = () => response.end(`you asked for ${incoming.url}\n`);
    if (incoming.url?.startsWith("/slow") === true) held.push(answer);
    else answer();
  }).listen(0, "127.0.0.1");
  await once(app, "listening");
  stack.defer(() => {
    app.closeAllConnections();
    app.close();
  });
  gateway = stack.use(await startGatewayDoor());
  gateway.lead(INSTANCE, 8_080, { loopbackPort: (app.address() as AddressInfo).port });
  authority = await makeAuthority();
  api = stack.use(new FakeEdgeService({ platformId: PLATFORM_ID, socketPath: join(home, "edge.sock"), authority }));
  key = await SigningKey.import(await generateSigningKey("connect-token"));
  api.tell({ routes: [route()], keySet: JSON.stringify({ keys: [key.publicJwk] }) });
  await api.start();
});

afterEach(() => stack.disposeAsync());

function route(state: RouteState = RouteState.RUNNING, tokenEpoch = 0) {
  // No gateway: the proxy's own.
  return {
    sandboxId: SANDBOX,
    workspaceId: WORKSPACE,
    instanceId: INSTANCE,
    state,
    gateway: "",
    tokenEpoch,
    tunnels: [],
  };
}

async function start(settings: Record<string, string> = {}, signal?: AbortSignal) {
  const proxy = await startProxy({
    home,
    edge: api.socketPath,
    gateway: gateway.path,
    domain: DOMAIN,
    platformId: PLATFORM_ID,
    settings: { SALLYPORT_CONNECT_DRAIN_MS: "10000", ...settings },
    signal,
  });
  return stack.use(proxy);
}

async function token(id = "ct-1"): Promise<string> {
  const request = { id, sandboxId: SANDBOX, workspaceId: WORKSPACE, epoch: 0 };
  const issuer = { issuer: `sallyport:${PLATFORM_ID}`, key, now: () => Date.now() };
  return (await issueConnectToken(request, issuer)).token;
}

async function get(port: number, path: string, bearer?: string): Promise<{ status: number; body: string }> {
  const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  const call = request({
    host: "127.0.0.1",
    port,
    path,
    headers: { ...headers, host: `${HOST}:${port}` },
    servername: HOST,
    ca: authority.pem,
  });
  call.end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, body: await text(answer) };
}

async function readMetrics(): Promise<string> {
  const call = requestHttp({ socketPath: join(home, "state", "metrics.sock"), path: "/metrics" });
  call.end();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  return await text(answer);
}

describe("the connect-proxy", () => {
  it("serves whoever has a token, and nobody else", async () => {
    const { port } = await start();
    await api.settled();
    expect(await get(port, "/a?b=c", await token())).toEqual({ status: 200, body: "you asked for /a?b=c\n" });
    expect((await get(port, "/a")).status).toBe(401);
  });

  it("refuses what was revoked once the api has its acknowledgement", async () => {
    const { port } = await start();
    await api.settled();
    const [one, two] = [await token("ct-1"), await token("ct-2")];
    expect((await get(port, "/", one)).status).toBe(200);
    const expiresAt = new Date(Date.now() + 3_600_000);
    await api.tellAll({ revoked: [{ tokenId: "ct-1", sandboxId: SANDBOX, expiresAt }] });
    expect([(await get(port, "/", one)).status, (await get(port, "/", two)).status]).toEqual([401, 200]);
    await api.tellAll({ routes: [route(RouteState.RUNNING, 1)] });
    expect((await get(port, "/", two)).status).toBe(401);
  });

  it("goes on without the api, also after a restart, and remembers what was revoked", async () => {
    const first = await start();
    await api.settled();
    const [good, bad] = [await token("ct-1"), await token("ct-2")];
    const expiresAt = new Date(Date.now() + 3_600_000);
    await api.tellAll({ revoked: [{ tokenId: "ct-2", sandboxId: SANDBOX, expiresAt }] });
    expect((await get(first.port, "/", good)).status).toBe(200);
    await api.stop();
    expect([(await get(first.port, "/", good)).status, (await get(first.port, "/", bad)).status]).toEqual([200, 401]);
    await first[Symbol.asyncDispose]();
    const second = await start();
    expect([(await get(second.port, "/", good)).status, (await get(second.port, "/", bad)).status]).toEqual([200, 401]);
    await api.start();
    await api.tellAll({ routes: [{ ...route(RouteState.ENDED), endedAt: new Date() }] });
    expect((await get(second.port, "/", good)).status).toBe(410);
  });

  it("lets what is under way end when it stops, and takes nothing new", async () => {
    const proxy = await start();
    await api.settled();
    const bearer = await token();
    const slow = get(proxy.port, "/slow", bearer);
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const stopped = proxy[Symbol.asyncDispose]();
    await expect(get(proxy.port, "/", bearer)).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);
    held[0]?.();
    expect(await slow).toEqual({ status: 200, body: "you asked for /slow\n" });
    await stopped;
  });

  it("cuts what does not end in time", async () => {
    const proxy = await start({ SALLYPORT_CONNECT_DRAIN_MS: "50" });
    await api.settled();
    const slow = get(proxy.port, "/slow", await token());
    const cut = expect(slow).rejects.toThrow();
    await vi.waitFor(() => expect(held).toHaveLength(1));
    await proxy[Symbol.asyncDispose]();
    await cut;
  });

  it("writes a line for each exchange, and counts it, without token or query", async () => {
    const proxy = await start();
    await api.settled();
    const bearer = await token();
    await get(proxy.port, "/path?secret=of-the-app", bearer);
    await get(proxy.port, `/query?_connect_token=${bearer}`);
    await get(proxy.port, "/none");
    const metrics = await readMetrics();
    expect(metrics).toContain(
      'sallyport_connect_requests_total{protocol="http/1.1",status="2xx",outcome="complete"} 2',
    );
    expect(metrics).toContain(
      'sallyport_connect_requests_total{protocol="http/1.1",status="4xx",outcome="complete"} 1',
    );
    expect(metrics).toMatch(/^sallyport_connect_refusals_total\{code="[A-Za-z]+"\} 1$/m);
    expect(metrics).toContain("sallyport_connect_request_seconds_count 3");
    expect(metrics).toContain("sallyport_connect_routes 1");
    for (const line of metrics.trimEnd().split("\n")) {
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+)$/);
    }
    await proxy[Symbol.asyncDispose]();
    const directory = join(home, "state", "access");
    const [name = ""] = await readdir(directory);
    const written = await readFile(join(directory, name), "utf8");
    const lines = written
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ path, status, tokenId }) => [path, status, tokenId])).toEqual([
      ["/path", 200, "ct-1"],
      ["/query", 200, "ct-1"],
      ["/none", 401, null],
    ]);
    expect(lines[0]).toMatchObject({ peer: "127.0.0.1", sandboxId: SANDBOX, method: "GET", outcome: "complete" });
    expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    for (const secret of [bearer, bearer.slice(-20), "of-the-app"]) {
      expect(written).not.toContain(secret);
      expect(metrics).not.toContain(secret);
    }
  });

  it("shows its metrics at a port, too, where it is told to", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const { port } = free.address() as AddressInfo;
    free.close();
    await once(free, "close");
    await start({ SALLYPORT_CONNECT_METRICS_PORT: String(port) });
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(await answer.text()).toContain("sallyport_connect_connections 0");
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  });

  it("takes over from one that lives once it knows what that one knows, and takes leave of it when it is over", async () => {
    const first = await start();
    await api.settled();
    const bearer = await token();
    const before = await readFile(join(home, "state", "current", "edge-id"), "utf8");
    const second = await start();
    const after = await readFile(join(home, "state", "current", "edge-id"), "utf8");
    expect(after).not.toBe(before);
    expect([(await get(first.port, "/", bearer)).status, (await get(second.port, "/", bearer)).status]).toEqual([
      200, 200,
    ]);
    expect(await readMetrics()).toContain("sallyport_connect_request_seconds_count 1");
    await first[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(api.left).toEqual([before.trim()]), { timeout: 10_000 });
    // What is known counts on, with the api down and after a crash.
    await second[Symbol.asyncDispose]();
    await api.stop();
    expect((await get((await start()).port, "/", bearer)).status).toBe(200);
    expect(await readFile(join(home, "state", "current", "edge-id"), "utf8")).toBe(after);
  });

  it("does not take over while the api cannot tell what was revoked", async () => {
    const first = await start();
    await api.settled();
    const before = await readFile(join(home, "state", "current", "edge-id"), "utf8");
    await api.stop();
    const given = new AbortController();
    const second = start({}, given.signal);
    setTimeout(() => given.abort(new Error("too long")), 500);
    await expect(second).rejects.toThrow("too long");
    expect(await readFile(join(home, "state", "current", "edge-id"), "utf8")).toBe(before);
    expect((await get(first.port, "/", await token())).status).toBe(200);
  });

  it("needs no listener of its own where connections are handed over to it", async () => {
    const path = join(home, "hand-over.sock");
    const none = { SALLYPORT_CONNECT_LISTENERS: "0", SALLYPORT_CONNECT_HANDOVER_SOCKET: path };
    const proxy = await start(none);
    await expect(get(proxy.port, "/")).rejects.toThrow("ECONNREFUSED");
    const socket = connect({ path });
    const source = { address: "198.51.100.7", port: 4_711 };
    socket.write(formatProxyHeader({ kind: "tcp", source, destination: source }));
    const secure = connectTls({ socket, servername: HOST, ca: authority.pem });
    await once(secure, "secureConnect");
    secure.destroy();
  });

  it("keeps its name, and what it keeps is its own alone", async () => {
    const names = async () => await readFile(join(home, "state", "current", "edge-id"), "utf8");
    const first = await start();
    await api.settled();
    const name = await names();
    await vi.waitFor(() => expect(api.assertionKeys.length).toBeGreaterThan(0));
    await first[Symbol.asyncDispose]();
    await start();
    expect(await names()).toBe(name);
    const state = join(home, "state");
    expect((await stat(state)).mode & 0o777).toBe(0o700);
    // What is just being replaced may be gone by the time that it is looked at.
    for (const folder of [state, join(state, "current")]) {
      for (const file of (await readdir(folder)).filter((name) => !name.endsWith(".new"))) {
        expect((await stat(join(folder, file))).mode & 0o077, file).toBe(0);
      }
    }
  });
});
