// Requests and the life of a sandbox: one that sleeps is woken by whoever comes, one that ends takes its WebSockets along.
import { once } from "node:events";
import type { Client } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import { beforeAll, describe, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const PATIENCE = { timeout: 20_000, interval: 50 };
let client: Client;

beforeAll(async () => {
  client = (await newWorkspace("connect-sleep")).client;
});

const app = (options: object = {}) => Sandbox.create(["python3", "-c", CONNECT_APP], { client, ...options });

async function isAsleep({ id }: Sandbox): Promise<boolean> {
  return (await Sandbox.fromId(id, { client })).info.asleep;
}

describe("a request", () => {
  it("wakes a sandbox that sleeps, each time anew", async () => {
    await using sandbox = await app({ sleepAfterMs: 1_000 });
    const token = await sandbox.createConnectToken();
    for (let round = 0; round < 2; round += 1) {
      expect((await token.fetch("/who")).status).toBe(200);
      await expect.poll(() => isAsleep(sandbox), PATIENCE).toBe(true);
    }
    expect((await token.fetch("/who")).status).toBe(200);
  });

  it("waits for a server that is only starting", async () => {
    // Asked for before the command has listened: nobody has to poll.
    await using sandbox = await app();
    const token = await sandbox.createConnectToken();
    expect((await token.fetch("/who")).status).toBe(200);
  });
});

describe("a WebSocket", () => {
  it("ends with its sandbox", async () => {
    const sandbox = await app();
    const token = await sandbox.createConnectToken();
    const socket = token.webSocket("/socket");
    await once(socket, "message");
    await Promise.all([once(socket, "close"), sandbox.terminate()]);
    await expect.poll(async () => (await token.fetch("/who")).status, PATIENCE).toBe(410);
  });

  it("ends when its token expires", async () => {
    await using sandbox = await app();
    const token = await sandbox.createConnectToken({ expiresInMs: 3_000 });
    const socket = token.webSocket("/socket");
    await once(socket, "message");
    const [{ code }] = (await once(socket, "close")) as [CloseEvent];
    expect(code).toBe(1_008);
    expect(Date.now()).toBeGreaterThanOrEqual(token.expiresAt.getTime());
    expect((await token.fetch("/who")).status).toBe(401);
  });
});
