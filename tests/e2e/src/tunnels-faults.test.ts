// Tunnels while parts of the platform are gone or replaced: on a platform of its own.
import { once } from "node:events";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { ConnectToken, Tunnel } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { ask, tcpTo, tlsTo, tunnelApp } from "@sallyport/testkit/tunnel-app";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const EDGE = "tunnel-edge";
const PATIENCE = { timeout: 30_000, interval: 50 };
/** Clients that come to a raw port again and again, while its edge is replaced so often. */
const RAW_LANES = 16;
const RESTARTS = 5;
const DRIPS = Array.from({ length: 30 }, (_, number) => `${number}\n`).join("");

const stack = new AsyncDisposableStack();
let platform: TestPlatform;
let client: Client;
let tls: Tunnel;
let raw: Tunnel;
let drip: Tunnel;
let token: ConnectToken;
let ca: string;

beforeAll(async () => {
  platform = stack.use(
    await startPlatform({ env: { SALLYPORT_TUNNEL_DRAIN_MS: "20000", SALLYPORT_CONNECT_DRAIN_MS: "20000" } }),
  );
  const { token: apiToken } = await platform.createWorkspace("tunnel-faults");
  client = stack.use(new Client({ url: platform.apiUrl, token: apiToken }));
  const sandbox = await Sandbox.create(tunnelApp("echo:7000", "echo:7001", "drip:7002"), {
    client,
    encryptedPorts: [7_000, 7_002],
    unencryptedPorts: [7_001],
  });
  ({ 7000: tls, 7001: raw, 7002: drip } = await sandbox.tunnels());
  ca = tls.caPem ?? "";
  token = await (await Sandbox.create(["python3", "-c", CONNECT_APP], { client })).createConnectToken();
  expect(await ask(tlsTo(tls, ca), "x")).toBe("xbye");
  expect((await token.fetch("/who")).status).toBe(200);
});

afterAll(async () => {
  await stack.disposeAsync();
});

async function childOf(name: string) {
  const found = (await platform.status()).children.find((child) => child.name === name);
  if (found === undefined) throw new Error(`no child ${name}`);
  return found;
}

/** Comes again and again until disposal, and remembers what went wrong. */
function comers(
  ...come: readonly (() => Promise<void>)[]
): AsyncDisposable & { readonly came: () => number; readonly wrong: string[] } {
  let isOver = false;
  let count = 0;
  const wrong: string[] = [];
  const running = come.map(async (one) => {
    while (!isOver) {
      await one().then(
        () => {
          count += 1;
        },
        (error: unknown) => wrong.push(String(error)),
      );
    }
  });
  return {
    came: () => count,
    wrong,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(running);
    },
  };
}

const echoes = (open: () => Socket) => async () => {
  expect(await ask(open(), "x")).toBe("xbye");
};

describe("tunnels", () => {
  it("go on without the api, also for an edge that comes back from kill -9 meanwhile", async () => {
    const { pid: api } = await childOf("api");
    process.kill(api, "SIGSTOP");
    try {
      expect(await ask(tlsTo(tls, ca), "x")).toBe("xbye");
      process.kill((await childOf(EDGE)).pid, "SIGKILL");
      // At the shared port nobody is refused: whoever comes waits for the one that starts.
      expect(await ask(tlsTo(tls, ca), "x")).toBe("xbye");
      await expect.poll(() => ask(tcpTo(raw), "x").catch(() => "refused"), PATIENCE).toBe("xbye");
    } finally {
      process.kill(api, "SIGCONT");
    }
  });

  it("take nothing of a connection that is cut with its edge, and nothing else with it", async () => {
    const socket = tlsTo(tls, ca);
    socket.write("x");
    await once(socket, "data");
    const over = once(
      socket.on("error", () => undefined),
      "close",
    );
    process.kill((await childOf(EDGE)).pid, "SIGKILL");
    await over;
    expect(await ask(tlsTo(tls, ca), "x")).toBe("xbye");
    expect((await token.fetch("/who")).status).toBe(200);
  });
});

describe("a restart of an edge", () => {
  it.each([EDGE, "connect-proxy"] as const)(
    "refuses nobody and cuts nothing: %s",
    { timeout: 120_000 },
    async (edge) => {
      const before = await childOf(edge);
      const dripping = text(tlsTo(drip, ca));
      const served = token.fetch("/drip/30").then((answer) => answer.text());
      {
        await using load = comers(
          echoes(() => tlsTo(tls, ca)),
          echoes(() => tlsTo(tls, ca)),
          async () => expect((await token.fetch("/who")).status).toBe(200),
        );
        await expect.poll(load.came, PATIENCE).toBeGreaterThan(20);
        await platform.restart(edge);
        const seen = load.came();
        await expect.poll(load.came, PATIENCE).toBeGreaterThan(seen + 20);
        expect(load.wrong).toEqual([]);
      }
      const after = await childOf(edge);
      expect(after).toMatchObject({ state: "ready", restarts: before.restarts });
      expect(after.pid).not.toBe(before.pid);
      expect(await dripping).toBe(DRIPS);
      expect(await served).toBe(DRIPS);
      await expect.poll(async () => (await childOf(edge)).drainingPid, PATIENCE).toBeUndefined();
      // Nobody waits for the one before, and what it acknowledged counts on.
      const another = await Sandbox.create(["python3", "-c", CONNECT_APP], { client });
      const revoked = await another.createConnectToken();
      expect((await revoked.fetch("/who")).status).toBe(200);
      await expect.poll(async () => (await another.revokeConnectTokens()).staleEdges, PATIENCE).toEqual([]);
      expect((await revoked.fetch("/who")).status).toBe(401);
      await platform.restart(edge).catch(() => undefined);
      expect((await revoked.fetch("/who")).status).toBe(401);
      await another.terminate();
    },
  );

  it("resets nobody at raw ports, where the process before stops to listen", { timeout: 180_000 }, async () => {
    await using load = comers(...Array.from({ length: RAW_LANES }, () => echoes(() => tcpTo(raw))));
    for (let round = 0; round < RESTARTS; round += 1) {
      await expect.poll(async () => (await childOf(EDGE)).drainingPid, PATIENCE).toBeUndefined();
      const seen = load.came();
      await expect.poll(load.came, PATIENCE).toBeGreaterThan(seen + RAW_LANES);
      await platform.restart(EDGE);
    }
    await expect.poll(async () => (await childOf(EDGE)).drainingPid, PATIENCE).toBeUndefined();
    console.log(JSON.stringify({ restarts: RESTARTS, connections: load.came(), failed: load.wrong.length }));
    expect(load.wrong).toEqual([]);
  });

  it("is refused while the api cannot tell what was revoked, and the one before goes on", {
    timeout: 120_000,
  }, async () => {
    await expect.poll(async () => (await childOf(EDGE)).drainingPid, PATIENCE).toBeUndefined();
    const { pid: api } = await childOf("api");
    const before = await childOf(EDGE);
    process.kill(api, "SIGSTOP");
    try {
      await expect(platform.restart(EDGE)).rejects.toThrow("did not become ready");
      expect(await childOf(EDGE)).toEqual(before);
      expect(await ask(tlsTo(tls, ca), "x")).toBe("xbye");
    } finally {
      process.kill(api, "SIGCONT");
    }
  });
});
