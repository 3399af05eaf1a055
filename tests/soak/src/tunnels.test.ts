// Tunnels of every kind for ten minutes: some hundred connections that stay, and short ones at a steady rate. What comes back
// is what was sent, nothing is dropped, memory stays flat, and at the end everything that was open is closed.
import { createHash, randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import type { ClientHttp2Session } from "node:http2";
import { connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { buffer, text } from "node:stream/consumers";
import type { Tunnel } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { tcpTo, tlsTo, tunnelApp } from "@sallyport/testkit/tunnel-app";
import { expect, it } from "vitest";
import { holdingsOf } from "./holdings.ts";
import type { Faults } from "./lanes.ts";
import { Lanes, pause } from "./lanes.ts";

const SECONDS = Number(process.env["SALLYPORT_SOAK_TUNNEL_SECONDS"] ?? "600");
const WARM_UP_S = Math.min(60, SECONDS / 4);
const SANDBOXES = 2;
/** Of each kind, to each sandbox; it takes 512. */
const HELD = 50;
/** Each of them says something so often. */
const ECHO_EVERY_MS = 5_000;
const SHORT_PER_SECOND = 30;
const LANES = 30;
const MAX_BYTES = 65_536;
const WATCHED = ["tunnel-edge", "gateway"] as const;
const SLACK_MIB = 48;
/** Beyond those at the start: timers of the api's link and the like. */
const SLACK_DESCRIPTORS = 8;
const KINDS = ["raw", "tls", "h2"] as const;
const PATIENCE = { timeout: 60_000, interval: 500 };

/** A port of each kind. */
type Ends = Readonly<Record<(typeof KINDS)[number], Tunnel>>;

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const someBytes = () => randomBytes(randomInt(1, MAX_BYTES));

it(`carries ${SANDBOXES * HELD * KINDS.length} held connections and ${SHORT_PER_SECOND} short ones a second for ${SECONDS} s`, async () => {
  await using stack = new AsyncDisposableStack();
  const platform = stack.use(await startPlatform());
  const ends = await endsOf(platform, stack);
  for (const kind of KINDS) await short(kind, at(ends, 0));
  await pause(1_000);
  const children = await childrenOf(platform);
  const start = await holdingsOf(platform);

  const faults: Faults = [];
  const held: Held[] = [];
  for (let count = 0; count < HELD; count += 1) {
    // A few at a time: this process has to shake hands within the edge's time, too.
    const next = ends.flatMap((one) => hold(one, faults));
    await Promise.all(next.map((one) => one.say()));
    held.push(...next);
  }
  const talk = new Lanes({
    lanes: held.length,
    perSecond: (held.length * 1_000) / ECHO_EVERY_MS,
    call: (lane) => at(held, lane).say(),
    faults,
  });
  let turn = 0;
  const load = new Lanes({
    lanes: LANES,
    perSecond: SHORT_PER_SECOND,
    call: (lane) => {
      turn += 1;
      return short(KINDS[turn % KINDS.length] ?? "raw", at(ends, lane));
    },
    faults,
  });
  await pause(WARM_UP_S * 1_000);
  const before = await holdingsOf(platform);
  await pause((SECONDS - WARM_UP_S) * 1_000);
  const after = await holdingsOf(platform);
  await Promise.all([talk.stop(), load.stop()]);
  await Promise.all(held.map((one) => one.end()));
  const memory = Object.fromEntries(WATCHED.map((name) => [name, [before.memoryMiB[name], after.memoryMiB[name]]]));
  console.log(JSON.stringify({ short: load.done, said: talk.done, faults: faults.length, memoryMiB: memory }));

  expect(faults).toEqual([]);
  expect([load.done, talk.done]).toEqual([load.begun, talk.begun]);
  // A busy machine does less; nothing of it is lost for that.
  expect(load.done).toBeGreaterThan((SECONDS * SHORT_PER_SECOND) / 4);
  expect(talk.done).toBeGreaterThan((held.length * SECONDS * 1_000) / ECHO_EVERY_MS / 4);
  expect(await childrenOf(platform)).toEqual(children);
  for (const name of WATCHED) {
    expect(after.memoryMiB[name], name).toBeLessThanOrEqual((before.memoryMiB[name] ?? 0) + SLACK_MIB);
    const most = (start.descriptors[name] ?? 0) + SLACK_DESCRIPTORS;
    await expect.poll(async () => (await holdingsOf(platform)).descriptors[name], PATIENCE).toBeLessThanOrEqual(most);
  }
});

async function endsOf(platform: TestPlatform, stack: AsyncDisposableStack): Promise<Ends[]> {
  const { token } = await platform.createWorkspace("soak-tunnels");
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  const sandboxes = Array.from({ length: SANDBOXES }, async (): Promise<Ends> => {
    const sandbox = await Sandbox.create(tunnelApp("echo:7000", "echo:7001", "h2:7002:sum"), {
      client,
      lifetimeMs: SECONDS * 1_000 + 1_800_000,
      unencryptedPorts: [7_000],
      encryptedPorts: [7_001],
      h2Ports: [7_002],
    });
    const { 7000: raw, 7001: tls, 7002: h2 } = await sandbox.tunnels();
    return { raw, tls, h2 };
  });
  return await Promise.all(sandboxes);
}

/** Processes that are the same as before: none has ended meanwhile. */
async function childrenOf(platform: TestPlatform): Promise<unknown[]> {
  return (await platform.status()).children.map(({ name, pid, restarts }) => ({ name, pid, restarts }));
}

function openSocket(kind: "raw" | "tls", ends: Ends): Socket {
  const socket = kind === "raw" ? tcpTo(ends.raw) : tlsTo(ends.tls, ends.tls.caPem ?? "");
  return socket.setNoDelay(true);
}

function openSession({ h2 }: Ends): ClientHttp2Session {
  const { host, port } = h2;
  return connectHttp2(`https://${host}:${port}`, {
    ca: h2.caPem ?? "",
    lookup: (_name, _options, found) => found(null, [{ address: "127.0.0.1", family: 4 }]),
  });
}

/** A connection of its own: says something, ends, and wants all of it back. */
async function short(kind: (typeof KINDS)[number], ends: Ends): Promise<void> {
  const said = someBytes();
  if (kind === "h2") {
    const session = openSession(ends);
    session.on("error", () => session.destroy()); // the request fails, too
    await askSum(session, said).finally(() => session.close());
    return;
  }
  const socket = openSocket(kind, ends);
  socket.end(said);
  const heard = await buffer(socket);
  const expected = Buffer.concat([said, Buffer.from("bye")]);
  if (sha256(heard) !== sha256(expected)) throw new Error(`${kind}: ${heard.length} of ${expected.length} bytes`);
}

async function askSum(session: ClientHttp2Session, said: Buffer): Promise<void> {
  const call = session.request({ ":method": "POST", ":path": "/" });
  call.end(said);
  const sum = await text(call);
  if (sum !== sha256(said)) throw new Error(`h2: the sum of ${said.length} bytes is ${JSON.stringify(sum)}`);
}

interface Held {
  /** Says something, and wants the same back. */
  say(): Promise<void>;
  /** Ends it; a fault when that was not the first end. */
  end(): Promise<void>;
}

/** One of each kind. */
function hold(ends: Ends, faults: Faults): Held[] {
  const session = openSession(ends);
  let isEnding = false;
  session.on("error", (error) => faults.push(`a held session: ${error.message}`));
  session.on("close", () => {
    if (!isEnding) faults.push("a held session was closed");
  });
  const h2: Held = {
    say: () => askSum(session, someBytes()),
    async end() {
      isEnding = true;
      await new Promise<void>((resolve) => session.close(resolve));
    },
  };
  return [new HeldSocket(openSocket("raw", ends), faults), new HeldSocket(openSocket("tls", ends), faults), h2];
}

class HeldSocket implements Held {
  readonly #socket: Socket;
  #left = 0;
  #hash = createHash("sha256");
  #heard: ((sum: string) => void) | undefined;
  #isEnding = false;

  constructor(socket: Socket, faults: Faults) {
    this.#socket = socket;
    socket.on("data", (piece: Buffer) => this.#hear(piece));
    socket.on("error", (error) => faults.push(`a held connection: ${error.message}`));
    socket.on("close", () => {
      if (!this.#isEnding) faults.push("a held connection was closed");
      this.#heard?.("closed");
    });
  }

  async say(): Promise<void> {
    const said = someBytes();
    const { promise, resolve } = Promise.withResolvers<string>();
    [this.#left, this.#hash, this.#heard] = [said.length, createHash("sha256"), resolve];
    this.#socket.write(said);
    const sum = await promise;
    if (sum !== sha256(said)) throw new Error(`a held connection: the sum of ${said.length} bytes is ${sum}`);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    this.#socket.end();
    if (!this.#socket.closed) await once(this.#socket, "close");
  }

  #hear(piece: Buffer): void {
    if (this.#isEnding) return; // the farewell
    this.#hash.update(piece);
    this.#left -= piece.length;
    if (this.#left === 0) this.#heard?.(this.#hash.digest("hex"));
  }
}

function at<One>(list: readonly One[], index: number): One {
  const one = list[index % list.length];
  if (one === undefined) throw new Error("an empty list");
  return one;
}
