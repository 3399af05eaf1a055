// Ten minutes of 500 WebSockets and 200 requests a second through one proxy: nothing is dropped, and memory stays flat.
import type { ConnectToken } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { expect, it } from "vitest";
import { holdingsOf } from "./holdings.ts";

const SANDBOXES = 5;
const SOCKETS = 500;
const REQUESTS_PER_SECOND = 200;
const MINUTES = 10;
const WARM_UP_S = 60;
/** Each socket says something so often. */
const ECHO_EVERY_MS = 5_000;
const SLACK_MIB = 48;
const SLACK_DESCRIPTORS = 64;
const PROXY = "connect-proxy";

/** What went wrong, in words; empty: nothing. */
type Faults = string[];

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
  const load = new Load(tokens, faults);
  stack.defer(() => load.stop());

  await seconds(WARM_UP_S);
  const before = await holdingsOf(platform);
  await seconds(MINUTES * 60 - WARM_UP_S);
  const after = await holdingsOf(platform);
  await load.stop();
  const echoes = sockets.reduce((sum, socket) => sum + socket.echoes, 0);
  console.log(JSON.stringify({ requests: load.answered, echoes, before: before.memoryMiB, after: after.memoryMiB }));

  expect(faults).toEqual([]);
  expect(load.answered).toBe(load.sent);
  expect(load.sent).toBeGreaterThan(MINUTES * 60 * REQUESTS_PER_SECOND * 0.9);
  expect(sockets.filter((socket) => socket.isOpen)).toHaveLength(SOCKETS);
  expect(echoes).toBeGreaterThan((SOCKETS * MINUTES * 60_000 * 0.9) / ECHO_EVERY_MS);
  expect(after.memoryMiB[PROXY]).toBeLessThanOrEqual((before.memoryMiB[PROXY] ?? 0) + SLACK_MIB);
  expect(after.descriptors[PROXY]).toBeLessThanOrEqual((before.descriptors[PROXY] ?? 0) + SLACK_DESCRIPTORS);
});

it("finishes what is under way while the proxy is replaced, again and again", async () => {
  await using stack = new AsyncDisposableStack();
  const platform = stack.use(await startPlatform());
  const tokens = await tokensOf(platform, stack);
  for (let round = 0; round < 10; round += 1) {
    const [before] = await pidsOf(platform);
    // Three seconds each: begun before the proxy is told to stop, over after.
    const answers = Array.from({ length: 20 }, async (_, index) => {
      const answer = await at(tokens, index).fetch("/drip/30");
      begun.push(index);
      return await answer.text();
    });
    const begun: number[] = [];
    await expect.poll(() => begun.length, { timeout: 20_000 }).toBe(answers.length);
    process.kill(before ?? 0, "SIGTERM");
    const whole = Array.from({ length: 30 }, (_, number) => `${number}\n`).join("");
    expect(await Promise.all(answers)).toEqual(answers.map(() => whole));
    await expect
      .poll(
        async () =>
          (
            await at(tokens, 0)
              .fetch("/who")
              .catch(() => undefined)
          )?.status,
        { timeout: 30_000 },
      )
      .toBe(200);
    expect((await pidsOf(platform))[0]).not.toBe(before);
  }
});

async function tokensOf(platform: TestPlatform, stack: AsyncDisposableStack): Promise<ConnectToken[]> {
  const { token } = await platform.createWorkspace("soak");
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  const options = { client, lifetimeMs: 3_600_000 };
  const sandboxes = await Promise.all(
    Array.from({ length: SANDBOXES }, () => Sandbox.create(["python3", "-c", CONNECT_APP], options)),
  );
  return await Promise.all(sandboxes.map((sandbox) => sandbox.createConnectToken({ expiresInMs: 3_600_000 })));
}

async function pidsOf(platform: TestPlatform): Promise<number[]> {
  return (await platform.status()).children.filter(({ name }) => name === PROXY).map(({ pid }) => pid);
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
    let waiting: string | undefined = "";
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("error", () => reject(new Error("a WebSocket did not open")));
    });
    socket.addEventListener("message", ({ data }) => {
      if (data !== waiting) faults.push(`${String(data)} came for ${String(waiting)}`);
      waiting = undefined;
      this.echoes += 1;
    });
    socket.addEventListener("close", ({ code }) => {
      if (!this.#isClosing) faults.push(`a WebSocket closed: ${code}`);
    });
    this.#timer = setInterval(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (waiting !== undefined) faults.push(`nothing came for ${waiting}`);
      waiting = String(this.echoes);
      socket.send(waiting);
    }, ECHO_EVERY_MS);
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

/** So many requests a second, however long their answers take. */
class Load {
  sent = 0;
  answered = 0;
  readonly #timer: NodeJS.Timeout;
  readonly #under = new Set<Promise<void>>();

  constructor(tokens: readonly ConnectToken[], faults: Faults) {
    const startedAt = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startedAt) / 1_000) * REQUESTS_PER_SECOND;
      while (this.sent < due) {
        const one = this.#ask(at(tokens, this.sent), faults).finally(() => this.#under.delete(one));
        this.#under.add(one);
        this.sent += 1;
      }
    }, 20);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#under);
  }

  async #ask(token: ConnectToken, faults: Faults): Promise<void> {
    try {
      const answer = await token.fetch("/bytes/1024");
      const { byteLength } = await answer.arrayBuffer();
      if (answer.status === 200 && byteLength === 1_024) this.answered += 1;
      else faults.push(`${answer.status} with ${byteLength} bytes`);
    } catch (error) {
      faults.push(String(error));
    }
  }
}

function at(tokens: readonly ConnectToken[], index: number): ConnectToken {
  const token = tokens[index % tokens.length];
  if (token === undefined) throw new Error("no tokens");
  return token;
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count * 1_000));
}
