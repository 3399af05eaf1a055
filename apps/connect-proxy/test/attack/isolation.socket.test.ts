// Two workspaces behind one proxy, under load and abuse: each app gets its own clients' bytes alone, each client its own app's.
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Inhabited } from "./place.ts";
import { Place } from "./place.ts";
import type { Random } from "./random.ts";
import { randomFrom } from "./random.ts";
import type { Program } from "./raw-app.ts";
import { targetOf } from "./strict-http.ts";

const LANES = 12;
const ROUNDS = 60;
const MAX_BYTES = 300_000;

let place: Place;

beforeAll(async () => {
  place = await Place.start();
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

/** Bytes that only this sandbox's exchanges hold, and only at this place of a body of this size. */
function marked(alphabet: string, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 1) bytes[at] = alphabet.charCodeAt((at * 7 + (at >> 8) + size) % alphabet.length);
  return bytes;
}

const ALPHABETS = { a: "ABCDEFGHIJKLM", b: "nopqrstuvwxyz" } as const;

/** `/<kind>/<bytes>`: answers so many marked bytes, whole or broken off. */
function programOf(alphabet: string, strangers: string[]): Program {
  return (request, { socket }) => {
    const [, kind = "", size = "0"] = targetOf(request).split("/");
    if (!request.body.equals(marked(alphabet, request.body.length))) strangers.push(targetOf(request));
    const body = marked(alphabet, Number(size));
    const half = body.subarray(0, body.length / 2);
    if (kind === "length")
      socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`), body]));
    else if (kind === "chunks") {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (let at = 0; at < body.length; at += 10_000) {
        const part = body.subarray(at, at + 10_000);
        socket.write(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]));
      }
      socket.write("0\r\n\r\n");
    } else if (kind === "close") socket.end(Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), body]));
    else if (kind === "surplus")
      socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`), body, body]));
    else {
      socket.write(
        Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${Number(size) + 1}\r\n\r\n`), half]),
        () => (kind === "reset" ? socket.resetAndDestroy() : socket.end()),
      );
    }
  };
}

const WHOLE = ["length", "chunks", "close", "surplus"];
const BROKEN = ["reset", "short"];

interface Tally {
  whole: number;
  broken: number;
  aborted: number;
}

describe("two sandboxes of two workspaces", () => {
  it("never see a byte of each other's", async () => {
    const strangers: string[] = [];
    place.a.app.program = programOf(ALPHABETS.a, strangers);
    place.b.app.program = programOf(ALPHABETS.b, strangers);
    const tally: Tally = { whole: 0, broken: 0, aborted: 0 };
    const lanes = [place.a, place.b].flatMap((sandbox, which) =>
      Array.from({ length: LANES }, (_, lane) =>
        run(sandbox, which === 0 ? ALPHABETS.a : ALPHABETS.b, randomFrom(which * 100 + lane), tally),
      ),
    );
    await Promise.all(lanes);
    expect(strangers).toEqual([]);
    expect(place.a.app.problems).toEqual([]);
    expect(place.b.app.problems).toEqual([]);
    // All that could go wrong did, and most went well.
    expect(tally.whole).toBeGreaterThan(LANES * ROUNDS);
    expect(tally.broken).toBeGreaterThan(50);
    expect(tally.aborted).toBeGreaterThan(50);
    expect(place.a.app.connections.length).toBeLessThan(place.a.app.requests.length);
  }, 120_000);
});

async function run(sandbox: Inhabited, alphabet: string, random: Random, tally: Tally): Promise<void> {
  using agent = disposable(new Agent({ keepAlive: true, maxSockets: 1, ca: place.ca, servername: sandbox.name }));
  const token = await place.token(sandbox);
  for (let round = 0; round < ROUNDS; round += 1) {
    const broken = random(8) === 0;
    const kind = broken ? BROKEN[random(BROKEN.length)] : WHOLE[random(WHOLE.length)];
    const size = random(4) === 0 ? random(MAX_BYTES) : random(3_000);
    const upload =
      random(3) === 0 ? marked(alphabet, random(4) === 0 ? random(MAX_BYTES / 2) : random(2_000)) : undefined;
    const headers = { Host: sandbox.host, Authorization: `Bearer ${token}` };
    const options = { host: "127.0.0.1", port: place.port, agent, headers, path: `/${kind}/${size}` };
    const outgoing = httpsRequest({ ...options, method: upload === undefined ? "GET" : "POST" });
    outgoing.on("error", () => outgoing.destroy()); // what it means is told by what came
    outgoing.end(upload);
    const abortAfter = random(10) === 0 ? random(size + 1) : undefined;
    const got = await receive(outgoing, abortAfter);
    const expected = marked(alphabet, size);
    const wanted = got.body.equals(expected.subarray(0, got.body.length));
    if (!wanted) throw new Error(`a stranger's bytes at ${sandbox.name}: ${kind} ${size}`);
    if (abortAfter !== undefined) tally.aborted += 1;
    else if (broken) {
      expect(got.whole, `${kind} ${size}`).toBe(false);
      tally.broken += 1;
    } else {
      expect([got.whole, got.body.length], `${kind} ${size}`).toEqual([true, size]);
      tally.whole += 1;
    }
  }
}

/** What came; broken off by us after some bytes, if asked. 502 is the proxy's word for an app that broke off before a byte went out. */
async function receive(
  outgoing: ReturnType<typeof httpsRequest>,
  abortAfter: number | undefined,
): Promise<{ body: Buffer; whole: boolean }> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    if (answer.statusCode !== 200) {
      answer.resume();
      await once(answer, "end");
      return { body: Buffer.alloc(0), whole: false };
    }
    for await (const part of answer as AsyncIterable<Buffer>) {
      parts.push(part);
      bytes += part.length;
      if (abortAfter !== undefined && bytes >= abortAfter) {
        outgoing.destroy();
        return { body: Buffer.concat(parts), whole: false };
      }
    }
    return { body: Buffer.concat(parts), whole: answer.complete };
  } catch {
    return { body: Buffer.concat(parts), whole: false };
  }
}

function disposable(agent: Agent): Agent & Disposable {
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}
