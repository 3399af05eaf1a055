// Several processes of the connect-proxy on one port: each replaced while requests come, with nothing lost that was under
// way and somebody there for whatever comes; each an edge of its own that hears of what is revoked.
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import type { ConnectToken } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { afterAll, beforeAll, expect, it } from "vitest";

const PROCESSES = ["connect-proxy", "connect-proxy-2"];
const WHOLE = Array.from({ length: 20 }, (_, number) => `${number}\n`).join("");

let platform: TestPlatform;
let client: Client;
let sandbox: Sandbox;

beforeAll(async () => {
  platform = await startPlatform({ env: { SALLYPORT_CONNECT_PROCESSES: String(PROCESSES.length) } });
  const { token } = await platform.createWorkspace("processes");
  client = new Client({ url: platform.apiUrl, token });
  sandbox = await Sandbox.create(["python3", "-c", CONNECT_APP], { client });
});

afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
});

/** Over a connection of its own: which process takes it, the kernel decides. */
async function get({ caPem, token, url }: ConnectToken, path: string): Promise<{ status: number; body: string }> {
  const { promise, reject, resolve } = Promise.withResolvers<IncomingMessage>();
  const headers = { authorization: `Bearer ${token}` };
  const call = request(
    `${url}${path}`,
    { agent: false, headers, ...(caPem === undefined ? {} : { ca: caPem }) },
    resolve,
  );
  call.on("error", reject);
  call.end();
  const answer = await promise;
  return { status: answer.statusCode ?? 0, body: await text(answer) };
}

/** Whoever is in the queue of a socket that closes just then is cut off, and comes again, as clients do. */
async function getAgain(token: ConnectToken, path: string): Promise<number> {
  try {
    return (await get(token, path)).status;
  } catch {
    return (await get(token, path)).status;
  }
}

async function pidOf(name: string): Promise<number> {
  return (await platform.status()).children.find((child) => child.name === name)?.pid ?? 0;
}

it("lets each be replaced without a gap", async () => {
  const token = await sandbox.createConnectToken();
  for (const name of PROCESSES) {
    const before = await pidOf(name);
    const answers = Array.from({ length: 8 }, () => get(token, "/drip/20")); // two seconds each
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    process.kill(before, "SIGTERM");
    const statuses = new Set<number>();
    while ([0, before].includes(await pidOf(name))) statuses.add(await getAgain(token, "/who"));
    expect([...statuses]).toEqual([200]);
    expect(await Promise.all(answers)).toEqual(answers.map(() => ({ status: 200, body: WHOLE })));
    await expect
      .poll(async () => (await platform.status()).children.find((child) => child.name === name)?.state, {
        timeout: 30_000,
      })
      .toBe("ready");
  }
});

it("makes each of them refuse what is revoked", async () => {
  const token = await sandbox.createConnectToken();
  expect((await get(token, "/who")).status).toBe(200);
  expect((await token.revoke()).staleEdges).toEqual([]);
  const statuses = await Promise.all(Array.from({ length: 32 }, async () => (await get(token, "/who")).status));
  expect([...new Set(statuses)]).toEqual([401]);
});

it("has one serve while the other is gone and the api, too", async () => {
  const token = await sandbox.createConnectToken();
  process.kill(await pidOf("api"), "SIGKILL");
  process.kill(await pidOf("connect-proxy"), "SIGKILL");
  for (let count = 0; count < 20; count += 1) expect(await getAgain(token, "/who")).toBe(200);
});
