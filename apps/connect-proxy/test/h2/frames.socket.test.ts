// Clients that say every frame themselves: what is malformed, what is too much, what comes too slowly or is broken off.
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import type { Pairs, RawH2Peer } from "../h2-peer.ts";
import { ERROR, FLAG, FRAME, frame, headerBlock, headersFrame, uint32 } from "../h2-peer.ts";
import { SANDBOX } from "../rules/place.ts";
import type { World, WorldOptions } from "./world.ts";
import { HOST, OTHER_HOST, startWorld } from "./world.ts";

/** Bytes of an answer that no window here takes at once. */
const MUCH = 4_000_000;

class App {
  readonly requests: IncomingMessage[] = [];
  /** Of each request, in order: whether its body came to its end. */
  readonly bodies: Promise<"whole" | "cut">[] = [];

  readonly listener: RequestListener = (request, response) => {
    this.requests.push(request);
    this.bodies.push(
      new Promise((resolve) => {
        request.on("end", () => resolve("whole"));
        request.on("close", () => resolve("cut"));
      }),
    );
    request.resume();
    if (request.method === "GET") this.#answer(request.url ?? "", response);
    else request.on("end", () => response.end("taken"));
  };

  #answer(url: string, response: ServerResponse): void {
    if (url === "/much") response.end(Buffer.alloc(MUCH));
    else if (url === "/silent") response.on("close", () => response.end());
    else if (url === "/cut-chunks" || url === "/cut-length") {
      response.writeHead(200, url === "/cut-length" ? { "content-length": 100 } : {});
      response.write("part", () => response.destroy());
    } else response.end("hello");
  }
}

let world: World;
let app: App;

async function start(options: Omit<WorldOptions, "app"> = {}): Promise<RawH2Peer> {
  app = new App();
  world = await startWorld({ ...options, app: app.listener });
  return world.peer();
}

afterEach(() => world[Symbol.asyncDispose]());

const codeOf = (body: string) => (JSON.parse(body) as { readonly code: string }).code;

/** Shows that the connection still serves, and what it served meanwhile has reached the app. */
async function stillServes(peer: RawH2Peer, stream: number): Promise<void> {
  peer.send(headersFrame(stream, world.head()));
  expect(await peer.answer(stream)).toMatchObject({ status: 200, body: "hello" });
}

describe("a stream that is no sound request", () => {
  const withField = (name: string, value: string) => (): Pairs => [...world.head(), [name, value]];
  const changed = (changes: Readonly<Record<string, string>>) => (): Pairs => world.head(changes);
  const without = (name: string) => (): Pairs => world.head().filter(([each]) => each !== name);

  const reset: Readonly<Record<string, () => Pairs>> = {
    "a name in upper case": withField("X-Upper", "1"),
    connection: withField("connection", "x-verified-user-data"),
    "keep-alive": withField("keep-alive", "timeout=1"),
    "proxy-connection": withField("proxy-connection", "keep-alive"),
    "transfer-encoding": withField("transfer-encoding", "chunked"),
    upgrade: withField("upgrade", "websocket"),
    "te: gzip": withField("te", "gzip"),
    "an unknown pseudo-header": withField(":x", "1"),
    "a second path": withField(":path", "/b"),
    "extended CONNECT": () => [...world.head({ ":method": "CONNECT" }), [":protocol", "websocket"]],
    "no path": without(":path"),
    "no scheme": without(":scheme"),
    "no method": without(":method"),
    "no authority": without(":authority"),
    "an empty path": changed({ ":path": "" }),
    "a path without a slash": changed({ ":path": "a" }),
    "a blank in the path": changed({ ":path": "/a b" }),
    "a blank in the method": changed({ ":method": "GE T" }),
    "a user in the authority": changed({ ":authority": `a@${HOST}` }),
    "a late pseudo-header": () => [...world.head().slice(1), ...world.head().slice(0, 1)],
    "Host twice": () => [...world.head(), ["host", HOST], ["host", HOST]],
    "a length without a body": withField("content-length", "5"),
    // Section 8.2.1: what one reader drops, another may take for something else.
    "a blank in a name": withField("x a", "1"),
    "a control character in a name": withField("x\u0001b", "1"),
    "a colon in a name": withField("x:a", "1"),
    "a name of nothing": withField("", "1"),
    "a line's end in a value": withField("x-line", "1\r\nx-verified-user-data: {}"),
    "a null in a value": withField("x-null", "1\0"),
    "a blank before a value": withField("x-blank", " 1"),
  };
  for (const [what, head] of Object.entries(reset)) {
    it(`is reset: ${what}`, async () => {
      const peer = await start();
      peer.send(headersFrame(1, head()));
      expect(await peer.answer(1)).toMatchObject({ status: undefined, reset: ERROR.protocol });
      await stillServes(peer, 3);
      expect(app.requests).toHaveLength(1);
    });
  }

  const refused: Readonly<Record<string, readonly [status: number, head: () => Pairs]>> = {
    "a fragment": [400, changed({ ":path": "/a#b" })],
    "octets beyond ASCII in the path": [400, changed({ ":path": "/\u00e9" })],
    "a method in lower case": [400, changed({ ":method": "get" })],
    "another scheme": [400, changed({ ":scheme": "ftp" })],
    "plain http": [400, changed({ ":scheme": "http" })],
    "another Host": [400, withField("host", OTHER_HOST)],
    content_length: [400, withField("content_length", "5")],
    transfer_encoding: [400, withField("transfer_encoding", "chunked")],
    "a length with zeros beyond count": [400, withField("content-length", "0".repeat(20))],
    TRACE: [405, changed({ ":method": "TRACE" })],
    "another expectation": [417, withField("expect", "200")],
    "a target without end": [414, changed({ ":path": `/${"a".repeat(9_000)}` })],
    "too many headers": [
      431,
      () => [...world.head(), ...Array.from({ length: 130 }, (_, at) => [`x-${at}`, ""] as const)],
    ],
    "the host of another sandbox": [421, changed({ ":authority": OTHER_HOST })],
    "the host of no sandbox": [421, changed({ ":authority": "localhost" })],
    "no token": [401, without("authorization")],
  };
  for (const [what, [status, head]] of Object.entries(refused)) {
    it(`is refused with ${status}: ${what}`, async () => {
      const peer = await start();
      peer.send(headersFrame(1, head()));
      const answer = await peer.answer(1);
      expect(answer).toMatchObject({ status, reset: undefined });
      expect(codeOf(answer.body)).not.toBe("InternalError");
      await stillServes(peer, 3);
      expect(app.requests).toHaveLength(1);
    });
  }

  it("is refused with 431 where its headers are too large, over several frames", async () => {
    const peer = await start();
    const block = headerBlock([...world.head(), ["x-a", "a".repeat(20_000)], ["x-b", "b".repeat(20_000)]]);
    peer.send(
      frame(FRAME.headers, FLAG.endStream, 1, block.subarray(0, 16_000)),
      frame(FRAME.continuation, FLAG.none, 1, block.subarray(16_000, 32_000)),
      frame(FRAME.continuation, FLAG.endHeaders, 1, block.subarray(32_000)),
    );
    expect((await peer.answer(1)).status).toBe(431);
    await stillServes(peer, 3);
  });

  it("has a body of another length than it says", async () => {
    const peer = await start();
    const head = headersFrame(1, [...world.head({ ":method": "POST" }), ["content-length", "5"]], false);
    peer.send(head, frame(FRAME.data, FLAG.endStream, 1, Buffer.from("four")));
    expect(await peer.answer(1)).toMatchObject({ status: undefined, reset: ERROR.protocol });
    expect(await Promise.all(app.bodies)).not.toContain("whole");
  });

  it("has pseudo-headers or a length in its trailers", async () => {
    for (const field of [":path", "content-length"]) {
      const peer = await start();
      const head = headersFrame(1, world.head({ ":method": "POST" }), false);
      peer.send(head, frame(FRAME.data, FLAG.none, 1, Buffer.from("content")), headersFrame(1, [[field, "1"]]));
      expect(await peer.answer(1)).toMatchObject({ status: undefined, reset: ERROR.protocol });
      expect(await Promise.all(app.bodies)).not.toContain("whole");
      await world[Symbol.asyncDispose]();
    }
  });
});

describe("an exchange that is broken off", () => {
  const endings: Readonly<Record<string, (peer: RawH2Peer) => void>> = {
    "by CANCEL": (peer) => peer.send(frame(FRAME.rstStream, FLAG.none, 1, uint32(ERROR.cancel))),
    "by NO_ERROR": (peer) => peer.send(frame(FRAME.rstStream, FLAG.none, 1, uint32(ERROR.none))),
    "by GOAWAY and the end of the connection": (peer) => {
      peer.send(frame(FRAME.goaway, FLAG.none, 0, Buffer.concat([uint32(0), uint32(ERROR.none)])));
      peer.socket.end();
    },
    "by the end of the connection": (peer) => peer.socket.end(),
    "by a reset of the connection": (peer) => peer.socket.destroy(),
  };
  for (const [how, end] of Object.entries(endings)) {
    it(`leaves the app no whole body: ${how}`, async () => {
      const peer = await start();
      peer.send(
        headersFrame(1, world.head({ ":method": "POST" }), false),
        frame(FRAME.data, FLAG.none, 1, Buffer.from("content")),
      );
      await expect.poll(() => app.requests.length).toBe(1);
      end(peer);
      expect(await app.bodies[0]).toBe("cut");
      expect(await world.ended(() => true)).toMatchObject({ outcome: "client-cut", inBytes: 7 });
    });
  }

  for (const path of ["/cut-length", "/cut-chunks"]) {
    it(`by the app is never completed politely: ${path}`, async () => {
      const peer = await start();
      peer.send(headersFrame(1, world.head({ ":path": path })));
      expect(await peer.answer(1)).toMatchObject({ status: 200, body: "part", reset: ERROR.internal });
      const ended = ({ flags, stream, type }: { flags: number; stream: number; type: number }) =>
        stream === 1 && type === FRAME.data && (flags & FLAG.endStream) !== 0;
      expect(peer.frames.some(ended)).toBe(false);
      expect(await world.ended(() => true)).toMatchObject({ outcome: "app-cut", status: 200 });
    });
  }

  it("in the moment of its answer harms nobody", async () => {
    const peer = await start({ streamLimits: { resetBurst: 10_000 } });
    const id = (at: number) => 2 * at + 1;
    for (let at = 0; at < 300; at += 1) {
      peer.send(headersFrame(id(at), world.head()));
      // At one of the many moments between the request and the end of its answer.
      for (let turn = 0; turn < at % 20; turn += 1) await new Promise(setImmediate);
      peer.send(frame(FRAME.rstStream, FLAG.none, id(at), uint32(ERROR.cancel)));
    }
    await stillServes(peer, id(300));
  });
});

describe("too much", () => {
  it("streams at once are refused, and may be tried again", async () => {
    const peer = await start({ streamLimits: { maxStreams: 3 } });
    for (const id of [1, 3, 5, 7]) peer.send(headersFrame(id, world.head({ ":path": "/silent" })));
    expect(await peer.answer(7)).toMatchObject({ status: undefined, reset: ERROR.refusedStream });
  });

  it("requests of one sandbox are refused with 429", async () => {
    const peer = await start({ limits: { maxRequestsPerSandbox: 1 } });
    peer.send(headersFrame(1, world.head({ ":path": "/silent" })));
    await expect.poll(() => app.requests.length).toBe(1);
    peer.send(headersFrame(3, world.head()));
    const { body, status } = await peer.answer(3);
    expect(status).toBe(429);
    expect(codeOf(body)).toBe("TooManyRequests");
  });

  const floods: Readonly<Record<string, (peer: RawH2Peer) => void>> = {
    // CVE-2023-44487
    "streams that are reset at once": (peer) => {
      for (let id = 1; id < 2_000; id += 2) {
        peer.send(headersFrame(id, world.head()), frame(FRAME.rstStream, FLAG.none, id, uint32(ERROR.cancel)));
      }
    },
    // CVE-2024-27983 and its kin
    CONTINUATION: (peer) => {
      peer.send(frame(FRAME.headers, FLAG.endStream, 1, headerBlock(world.head())));
      for (let count = 0; count < 1_000; count += 1) {
        peer.send(frame(FRAME.continuation, FLAG.none, 1, headerBlock([["x", "y"]])));
      }
    },
    // CVE-2019-9515
    SETTINGS: (peer) => peer.send(...Array.from({ length: 3_000 }, () => frame(FRAME.settings, FLAG.none, 0))),
    // CVE-2019-9512
    PING: (peer) => peer.send(...Array.from({ length: 3_000 }, () => frame(FRAME.ping, FLAG.none, 0, Buffer.alloc(8)))),
    // CVE-2019-9518
    "empty DATA": (peer) => {
      peer.send(headersFrame(1, world.head({ ":method": "POST" }), false));
      peer.send(...Array.from({ length: 3_000 }, () => frame(FRAME.data, FLAG.none, 1)));
    },
    "streams beyond the bound": (peer) => {
      for (let id = 1; id < 2_000; id += 2) peer.send(headersFrame(id, world.head({ ":path": "/silent" })));
    },
  };
  for (const [what, flood] of Object.entries(floods)) {
    it(`ends the connection: ${what}`, async () => {
      const peer = await start();
      flood(peer);
      await peer.ended();
      const other = await world.peer();
      await stillServes(other, 1);
      await expect.poll(() => world.front.size).toBe(1);
    });
  }

  it("of a head that unpacks to more than it seems is not taken", async () => {
    const peer = await start();
    // One field that is remembered (RFC 7541, section 6.2.1), then named again and again, an octet each (section 6.1).
    const big = headerBlock([["x-a", "a".repeat(3_900)]]);
    big[0] = 0x40;
    const bomb = (times: number) => Buffer.concat([headerBlock(world.head()), big, Buffer.alloc(times, 0x80 | 62)]);
    const whole = FLAG.endHeaders | FLAG.endStream;
    peer.send(frame(FRAME.headers, whole, 1, bomb(100)));
    expect((await peer.answer(1)).status).toBe(431);
    peer.send(frame(FRAME.headers, whole, 3, bomb(10_000)));
    expect(await peer.answer(3)).toMatchObject({ status: undefined, reset: ERROR.enhanceYourCalm });
    await stillServes(peer, 5);
  });

  it("of an answer waits until the client takes it", async () => {
    const peer = await start({ limits: { stallMs: 60_000 } });
    peer.send(headersFrame(1, world.head({ ":path": "/much" })));
    await expect
      .poll(() => peer.frames.reduce((sum, { payload, type }) => sum + (type === 0 ? payload.length : 0), 0))
      .toBe(65_535);
    // The windows of the connection are used up: an answer without content still fits.
    peer.send(headersFrame(3, world.head({ ":method": "HEAD" })));
    expect((await peer.answer(3)).status).toBe(200);
  });
});

describe("too slow", () => {
  it("is a connection without a request", async () => {
    const peer = await start({ limits: { headMs: 50, lingerMs: 50 } });
    expect(await peer.goaway()).toBe(ERROR.none);
    await peer.ended();
  });

  it("is a head that never ends", async () => {
    const peer = await start({ limits: { headMs: 50, lingerMs: 50 } });
    peer.send(frame(FRAME.headers, FLAG.endStream, 1, headerBlock(world.head()).subarray(0, 20)));
    await peer.ended();
    expect(app.requests).toHaveLength(0);
  });

  it("is a connection between two requests, in the end", async () => {
    const peer = await start({ limits: { idleMs: 50, lingerMs: 50 } });
    await stillServes(peer, 1);
    expect(await peer.goaway()).toBe(ERROR.none);
    await peer.ended();
  });

  it("is a body that stops coming: 408", async () => {
    const peer = await start({ limits: { stallMs: 50 } });
    peer.send(
      headersFrame(1, world.head({ ":method": "POST" }), false),
      frame(FRAME.data, FLAG.none, 1, Buffer.from("content")),
    );
    const { body, status } = await peer.answer(1);
    expect(status).toBe(408);
    expect(codeOf(body)).toBe("RequestTimeout");
    expect(await app.bodies[0]).toBe("cut");
  });

  it("is a client that takes nothing of its answer", async () => {
    const peer = await start({ limits: { stallMs: 50 } });
    peer.send(headersFrame(1, world.head({ ":path": "/much" })));
    expect(await peer.answer(1)).toMatchObject({ status: 200, reset: ERROR.internal });
    expect(await world.ended(() => true)).toMatchObject({ outcome: "proxy-cut" });
    await expect.poll(() => world.door.open).toBe(0);
  });

  it("is an app that does not begin to answer: 504", async () => {
    const peer = await start({ limits: { answerMs: 50 } });
    peer.send(headersFrame(1, world.head({ ":path": "/silent" })));
    expect((await peer.answer(1)).status).toBe(504);
  });
});

it("a stream whose token is revoked is cut, and another that begins is refused", async () => {
  const peer = await start();
  peer.send(headersFrame(1, world.head({ ":path": "/silent" })));
  await expect.poll(() => app.requests.length).toBe(1);
  await world.revoke();
  expect(await peer.answer(1)).toMatchObject({ status: undefined, reset: ERROR.internal });
  expect(await world.ended(() => true)).toMatchObject({ outcome: "proxy-cut", code: "Revoked" });
  peer.send(headersFrame(3, world.head()));
  const { body, status } = await peer.answer(3);
  expect(status).toBe(401);
  expect(codeOf(body)).toBe("TokenRevoked");
});

it("a stream outlives its token by so much and no more", async () => {
  const peer = await start({ limits: { outliveMs: 50 } });
  const authorization = `Bearer ${await world.issue(1_000)}`;
  peer.send(headersFrame(1, world.head({ ":path": "/silent", authorization })));
  peer.send(headersFrame(3, world.head({ ":path": "/silent" })));
  expect(await peer.answer(1)).toMatchObject({ status: undefined, reset: ERROR.internal });
  expect(world.ends).toMatchObject([{ outcome: "proxy-cut", code: "Expired" }]);
});

it("frames of other servers are neither heard nor said", async () => {
  const peer = await start();
  const altSvc = Buffer.concat([Buffer.from([0, 1]), Buffer.from('ah2=":1"')]);
  peer.send(frame(10, FLAG.none, 0, altSvc), frame(12, FLAG.none, 0, Buffer.from([0, 1, 97])), frame(99, 255, 7));
  await stillServes(peer, 1);
  const known: readonly number[] = [FRAME.data, FRAME.headers, FRAME.settings, FRAME.ping, FRAME.windowUpdate];
  expect(peer.frames.filter(({ type }) => !known.includes(type))).toEqual([]);
});

it("a request for another host of the certificate is told to go elsewhere, on the same connection", async () => {
  const peer = await start();
  peer.send(headersFrame(1, world.head({ ":authority": OTHER_HOST })));
  const { body, status } = await peer.answer(1);
  expect(status).toBe(421);
  expect(codeOf(body)).toBe("MisdirectedRequest");
  await stillServes(peer, 3);
  expect(world.door.requests.map(({ sandboxId }) => sandboxId)).toEqual([SANDBOX]);
});

it("the front cuts all it has when it is disposed of", async () => {
  const peer = await start();
  peer.send(headersFrame(1, world.head({ ":path": "/silent" })));
  await expect.poll(() => app.requests.length).toBe(1);
  const closed = once(peer.socket, "close");
  world.front[Symbol.dispose]();
  await closed;
  expect(await world.ended(() => true)).toMatchObject({ outcome: "proxy-cut", code: "ShuttingDown", status: 0 });
  await expect.poll(() => world.front.size).toBe(0);
});
