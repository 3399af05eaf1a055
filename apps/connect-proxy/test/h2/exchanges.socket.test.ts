// What goes through, both ways, for a client that nobody here wrote.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { World } from "./world.ts";
import { HOST, startWorld } from "./world.ts";

const BYTES = 8_000_000;
const blob = randomBytes(BYTES);

interface Seen {
  readonly headers: readonly string[];
  readonly method: string;
  readonly url: string;
}

const seen: Seen[] = [];

const routes: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
  "/blob": (_request, response) => response.end(blob),
  "/blob-with-length": (_request, response) => response.writeHead(200, { "content-length": BYTES }).end(blob),
  "/hash": (request, response) => {
    const hash = createHash("sha256");
    request.on("data", (chunk: Buffer) => hash.update(chunk));
    request.on("end", () => {
      const framing = `${request.headers["content-length"] ?? ""} ${request.headers["transfer-encoding"] ?? ""}`;
      response.end(`${hash.digest("hex")} ${framing} ${JSON.stringify(request.trailers)}`);
    });
  },
  "/echo": (request, response) => request.pipe(response),
  "/204": (_request, response) => response.writeHead(204).end(),
  "/205": (_request, response) => response.writeHead(205).end("content that has no place"),
  "/304": (_request, response) => response.writeHead(304, { etag: '"a"' }).end(),
  "/trailers": (_request, response) => {
    response.writeHead(200, { trailer: "x-sum" }).write("content");
    response.addTrailers({ "x-sum": "1", "x-verified-user-data": "{}", "set-cookie": "a=b" });
    response.end();
  },
  "/hints": (_request, response) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("content");
  },
  "/events": (request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    request.on("close", () => response.end());
  },
  // An app that closes while it is sent to may take its own answer back by that: this one reads on (RFC 9112, section 9.6).
  "/early": (request) => {
    request.socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much");
    request.resume();
  },
  "/twice": (_request, response) => {
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.setHeader("alt-svc", 'h2=":1"');
    response.end();
  },
};

const app: RequestListener = (request, response) => {
  seen.push({ headers: request.rawHeaders, method: request.method ?? "", url: request.url ?? "" });
  const answer = routes[request.url ?? ""];
  if (answer === undefined) response.end("hello");
  else answer(request, response);
};

let world: World;
let session: ClientHttp2Session;

beforeEach(async () => {
  seen.length = 0;
  world = await startWorld({ app });
  session = await world.client();
});
afterEach(() => world[Symbol.asyncDispose]());

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly informations: readonly number[];
}

function open(headers: OutgoingHttpHeaders, hasBody = false, waitForTrailers = false): ClientHttp2Stream {
  const authorized = { authorization: `Bearer ${world.token}`, ...headers };
  return session.request(authorized, { endStream: !hasBody, waitForTrailers });
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const informations: number[] = [];
  let headers: Answer["headers"] = {};
  let trailers: IncomingHttpHeaders | undefined;
  const chunks: Buffer[] = [];
  stream.on("headers", (head) => informations.push(head[":status"] ?? 0));
  stream.on("response", (head) => {
    headers = head;
  });
  stream.on("trailers", (found: IncomingHttpHeaders) => {
    trailers = found;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "close");
  return { status: headers[":status"], headers, body: Buffer.concat(chunks), trailers, informations };
}

const get = (path: string, headers: OutgoingHttpHeaders = {}) => answerOf(open({ ":path": path, ...headers }));

function post(path: string, body: Buffer, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
  const stream = open({ ":path": path, ":method": "POST", ...headers }, true);
  stream.end(body);
  return answerOf(stream);
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("answers", () => {
  it("come whole, with and without a length", async () => {
    for (const path of ["/blob", "/blob-with-length"]) {
      const { body, status } = await get(path);
      expect(status).toBe(200);
      expect(body.equals(blob)).toBe(true);
    }
  });

  it("have no body where HTTP has none", async () => {
    expect(await get("/204")).toMatchObject({ status: 204, body: Buffer.alloc(0) });
    expect(await get("/205")).toMatchObject({ status: 205, body: Buffer.alloc(0) });
    expect(await get("/304")).toMatchObject({ status: 304, body: Buffer.alloc(0), headers: { etag: '"a"' } });
    const head = await get("/blob-with-length", { ":method": "HEAD" });
    expect(head).toMatchObject({ status: 200, body: Buffer.alloc(0), headers: { "content-length": String(BYTES) } });
  });

  it("bring their trailers, without those that only the proxy may say", async () => {
    const { body, trailers } = await get("/trailers");
    expect(body.toString()).toBe("content");
    expect(Object.entries(trailers ?? {})).toEqual([["x-sum", "1"]]);
  });

  it("are announced by early hints", async () => {
    expect(await get("/hints")).toMatchObject({ status: 200, informations: [103] });
  });

  it("come piece by piece as the app sends them", async () => {
    const stream = open({ ":path": "/events" });
    const [event] = (await once(stream, "data")) as [Buffer];
    expect(event.toString()).toBe("data: 1\n\n");
    stream.close();
    expect(await world.ended(({ about }) => about.target === "/events")).toMatchObject({ outcome: "client-cut" });
  });

  it("keep what comes twice, and advertise no other server", async () => {
    const { headers } = await get("/twice");
    expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(headers["alt-svc"]).toBeUndefined();
  });

  it("wait for a client that reads slowly, and stay whole", async () => {
    const stream = open({ ":path": "/blob" });
    await once(stream, "response");
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
      if (bytes % 7 === 0) await sleep(1);
    }
    expect(bytes).toBe(BYTES);
    expect(hash.digest("hex")).toBe(sha256(blob));
  });

  it("come a hundred at once over one connection", async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => get(`/${at}`)));
    expect(answers.every(({ body, status }) => status === 200 && body.toString() === "hello")).toBe(true);
  });
});

describe("requests", () => {
  it("reach the app as HTTP/1.1 says them, without the token", async () => {
    await get("/a?b=c", { cookie: ["a=1", "b=2"], te: "trailers", "x-a": "1" });
    const [request] = seen;
    expect(request).toMatchObject({ method: "GET", url: "/a?b=c" });
    const names = request?.headers.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    expect(names).not.toContain("authorization");
    expect(names).not.toContain("te");
    const fieldOf = (name: string) => request?.headers[2 * (names?.indexOf(name) ?? -1) + 1];
    expect(fieldOf("host")).toMatch(new RegExp(`^${HOST}:`));
    expect(fieldOf("cookie")).toBe("a=1; b=2");
  });

  it("bring bodies of a length and without one", async () => {
    const withLength = await post("/hash", blob, { "content-length": BYTES });
    expect(withLength.body.toString()).toBe(`${sha256(blob)} ${BYTES}  {}`);
    const without = await post("/hash", blob);
    expect(without.body.toString()).toBe(`${sha256(blob)}  chunked {}`);
  });

  it("bring trailers, without those that only the proxy may say", async () => {
    const stream = open({ ":path": "/hash", ":method": "POST" }, true, true);
    stream.once("wantTrailers", () =>
      stream.sendTrailers({ "x-sum": "1", "x-verified-user-data": "{}", x_verified_user_data: "{}" }),
    );
    stream.end("content");
    const { body } = await answerOf(stream);
    expect(body.toString()).toBe(`${sha256(Buffer.from("content"))}  chunked {"x-sum":"1"}`);
  });

  it("are told to go on once they are let in, and not before", async () => {
    const stream = open({ ":path": "/hash", ":method": "POST", expect: "100-continue" }, true);
    const [head] = (await once(stream, "headers")) as [IncomingHttpStatusHeader];
    expect(head[":status"]).toBe(100);
    stream.end("content");
    expect((await answerOf(stream)).body.toString()).toContain(sha256(Buffer.from("content")));
    expect(seen[0]?.headers.map((text) => text.toLowerCase())).not.toContain("expect");

    const stranger = open(
      { ":path": "/hash", ":method": "POST", expect: "100-continue", authorization: "Bearer no" },
      true,
    );
    expect(await answerOf(stranger)).toMatchObject({ status: 401, informations: [] });
  });

  it("flow both ways at once", async () => {
    const stream = open({ ":path": "/echo", ":method": "POST" }, true);
    for (const word of ["one", "two"]) {
      stream.write(word);
      const [echo] = (await once(stream, "data")) as [Buffer];
      expect(echo.toString()).toBe(word);
    }
    stream.end();
    await once(stream, "close");
    expect(await world.ended(({ about }) => about.target === "/echo")).toMatchObject({
      outcome: "complete",
      inBytes: 6,
      outBytes: 6,
      protocol: "h2",
      status: 200,
    });
  });

  it("are answered before they are complete", async () => {
    const { body, status } = await post("/early", blob);
    expect(status).toBe(413);
    expect(body.toString()).toBe("too much");
  });

  it("say nothing of the user in the client's own name", async () => {
    await get("/", { "x-verified-user-data": "{}", x_verified_user_data: "{}", "x-verified-user-assertion": "a" });
    const names = seen[0]?.headers
      .filter((_, at) => at % 2 === 0)
      .map((name) => name.toLowerCase().replaceAll("_", "-"));
    expect(names?.filter((name) => name === "x-verified-user-data")).toEqual([]);
    expect(names?.filter((name) => name === "x-verified-user-assertion")).toHaveLength(1);
  });
});

describe("the connection", () => {
  it("offers neither pushes nor extended CONNECT", () => {
    expect(session.remoteSettings).toMatchObject({ enableConnectProtocol: false, maxConcurrentStreams: 100 });
  });

  it("is given up in two steps, and what is under way ends well", async () => {
    const under = open({ ":path": "/hash", ":method": "POST" }, true);
    under.write("con");
    await expect.poll(() => seen.length).toBe(1);
    const goaways: number[] = [];
    session.on("goaway", (_code, last: number) => goaways.push(last));
    const closed = once(session, "close");
    world.front.drain();
    under.end("tent");
    expect((await answerOf(under)).body.toString()).toContain(sha256(Buffer.from("content")));
    await closed;
    expect(goaways[0]).toBe(2 ** 31 - 1);
    expect(goaways.at(-1)).toBe(1);
    await expect.poll(() => world.front.size).toBe(0);
  });
});
