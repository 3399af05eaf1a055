// Ten minutes of 500 WebSockets and 200 requests a second through one proxy: nothing is dropped, and memory stays flat.
import type { ConnectToken } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { expect, it } from "vitest";
import { holdingsOf } from "./holdings.ts";
import type { Faults } from "./lanes.ts";
import { Lanes, pause } from "./lanes.ts";

const SANDBOXES = 5;
const SOCKETS = 500;
const REQUESTS_PER_SECOND = 200;
/** Clients that send them. */
const LANES = 40;
const MINUTES = 10;
const WARM_UP_S = 60;
/** Each socket says something so often. */
const ECHO_EVERY_MS = 5_000;
const SLACK_MIB = 48;
const SLACK_DESCRIPTORS = 64;
const PROXY = "connect-proxy";
/** Pieces of an answer that takes three seconds. */
const DRIPS = 30;

it(`carries ${SOCKETS} WebSockets and ${REQUESTS_PER_SECOND} requests a second for ${MINUTES} minutes`, async () => {
  await using stack = new AsyncDisposableStack();
  const platform = stack.use(await startPlatform());
  const tokens = await tokensOf(platform, stack);
  const faults: Faults = [];
  const sockets = Array.from({ length: SOCKETS }, (_, index) => new Echo(at(tokens, index), faults));
  stack.defer(() => {
    for (const socket of sockets) socket.close();
  });
  await Promise.all(sockets.map((socket) => socket.opened));
  const load = new Lanes({
    lanes: LANES,
    perSecond: REQUESTS_PER_SECOND,
    call: (lane) => ask(at(tokens, lane)),
    faults,
  });
  stack.defer(() => load.stop());

  await pause(WARM_UP_S * 1_000);
  const before = await holdingsOf(platform);
  await pause((MINUTES * 60 - WARM_UP_S) * 1_000);
  const after = await holdingsOf(platform);
  await load.stop();
  const echoes = sockets.reduce((sum, socket) => sum + socket.echoes, 0);
  console.log(JSON.stringify({ requests: load.done, echoes, before: before.memoryMiB, after: after.memoryMiB }));

  expect(faults).toEqual([]);
  expect(load.done).toBe(load.begun);
  expect(load.begun).toBeGreaterThan(MINUTES * 60 * REQUESTS_PER_SECOND * 0.9);
  expect(sockets.filter((socket) => socket.isOpen)).toHaveLength(SOCKETS);
  expect(echoes).toBeGreaterThan((SOCKETS * MINUTES * 60_000 * 0.9) / ECHO_EVERY_MS);
  expect(after.memoryMiB[PROXY]).toBeLessThanOrEqual((before.memoryMiB[PROXY] ?? 0) + SLACK_MIB);
  expect(after.descriptors[PROXY]).toBeLessThanOrEqual((before.descriptors[PROXY] ?? 0) + SLACK_DESCRIPTORS);
});

it("finishes what is under way while the proxy is replaced, again and again", async () => {
  await using stack = new AsyncDisposableStack();
  const platform = stack.use(await startPlatform());
  const tokens = await tokensOf(platform, stack);
  const whole = Array.from({ length: DRIPS }, (_, number) => `${number}\n`).join("");
  for (let round = 0; round < 10; round += 1) {
    const before = await pidOf(platform);
    // Begun before the proxy is told to stop, over after.
    const begun = await Promise.all(
      tokens.flatMap((token) => [token.fetch(`/drip/${DRIPS}`), token.fetch(`/drip/${DRIPS}`)]),
    );
    process.kill(before ?? 0, "SIGTERM");
    expect(await Promise.all(begun.map((answer) => answer.text()))).toEqual(begun.map(() => whole));
    await expect.poll(() => pidOf(platform), { timeout: 30_000 }).not.toBeOneOf([before, undefined]);
    await expect.poll(() => statusOf(at(tokens, 0)), { timeout: 30_000 }).toBe(200);
  }
});

/** Status of a request; 0: nobody answers. */
async function statusOf(token: ConnectToken): Promise<number> {
  return await token.fetch("/who").then(
    ({ status }) => status,
    () => 0,
  );
}

async function tokensOf(platform: TestPlatform, stack: AsyncDisposableStack): Promise<ConnectToken[]> {
  const { token } = await platform.createWorkspace("soak");
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  const options = { client, lifetimeMs: 3_600_000 };
  const sandboxes = await Promise.all(
    Array.from({ length: SANDBOXES }, () => Sandbox.create(["python3", "-c", CONNECT_APP], options)),
  );
  return await Promise.all(sandboxes.map((sandbox) => sandbox.createConnectToken({ expiresInMs: 3_600_000 })));
}

async function pidOf(platform: TestPlatform): Promise<number | undefined> {
  return (await platform.status()).children.find(({ name }) => name === PROXY)?.pid;
}

/** A WebSocket that says a number now and then, and wants it back. */
class Echo {
  readonly opened: Promise<void>;
  echoes = 0;
  readonly #socket: WebSocket;
  #timer: NodeJS.Timeout | undefined;
  #isClosing = false;

  constructor(token: ConnectToken, faults: Faults) {
    const socket = token.webSocket("/socket");
    this.#socket = socket;
    // The app greets first: from then on the socket has its turn now and then.
    const { promise, reject, resolve } = Promise.withResolvers<void>();
    this.opened = promise;
    let waiting: string | undefined = "";
    const say = () => {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (waiting !== undefined) faults.push(`nothing came for ${waiting}`);
      waiting = String(this.echoes);
      socket.send(waiting);
    };
    socket.addEventListener("error", () => reject(new Error("a WebSocket did not open")));
    socket.addEventListener("message", ({ data }) => {
      if (data !== waiting) faults.push(`${String(data)} came for ${String(waiting)}`);
      waiting = undefined;
      this.echoes += 1;
      this.#timer ??= setInterval(say, ECHO_EVERY_MS);
      resolve();
    });
    socket.addEventListener("close", ({ code }) => {
      if (!this.#isClosing) faults.push(`a WebSocket closed: ${code}`);
    });
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  close(): void {
    this.#isClosing = true;
    clearInterval(this.#timer);
    this.#socket.close();
  }
}

async function ask(token: ConnectToken): Promise<void> {
  const answer = await token.fetch("/bytes/1024");
  const { byteLength } = await answer.arrayBuffer();
  if (answer.status !== 200 || byteLength !== 1_024) throw new Error(`${answer.status} with ${byteLength} bytes`);
}

function at(tokens: readonly ConnectToken[], index: number): ConnectToken {
  const token = tokens[index % tokens.length];
  if (token === undefined) throw new Error("no tokens");
  return token;
}
