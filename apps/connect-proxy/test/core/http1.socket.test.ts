// HTTP/1 through the core over real sockets: what a client says, what an app gets and answers, what comes back.
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import type { World as Place } from "./world.ts";
import { answering, head, INSTANCE_ID, ok, World } from "./world.ts";

/** Of an answer as text. */
function bodyOf(text: string): string {
  return text.slice(text.indexOf("\r\n\r\n") + 4);
}

const echoHead = answering((request) => ok(request));

describe("a request", () => {
  it("reaches the app, and the answer comes back", async () => {
    await using world = await World.start({ app: echoHead });
    const answer = await world.say(head("GET /a?b=c", "Accept: */*", "Connection: X-Hop", "X-Hop: 1"));
    expect(answer).toMatch(
      /^HTTP\/1\.1 200 OK\r\nDate: [^\r]+ GMT\r\nContent-Length: \d+\r\nConnection: close\r\n\r\n/,
    );
    expect(bodyOf(answer)).toBe(head("GET /a?b=c", "Accept: */*"));
    await world.over(1);
    expect(world.ends[0]).toMatchObject({ status: 200, outcome: "complete", protocol: "http/1.1", code: undefined });
  });

  it("after another goes over the same connections", async () => {
    await using world = await World.start({ app: answering(ok("x")) });
    using peer = await world.connect();
    for (let count = 1; count <= 3; count += 1) {
      peer.send(head("GET /"));
      await peer.until((text) => text.split("HTTP/1.1 200 OK").length === count + 1 && text.endsWith("x"));
    }
    expect(world.appSockets).toHaveLength(1);
    expect(world.upstream.idleConnections).toBe(1);
  });

  it("that comes with others is answered in order", async () => {
    await using world = await World.start({ app: echoHead });
    const answers = await world.say(["/1", "/2", "/3"].map((path) => head(`GET ${path}`)).join(""));
    expect([...answers.matchAll(/GET (\S+) HTTP/g)].map(([, path]) => path)).toEqual(["/1", "/2", "/3"]);
  });

  it("may come byte by byte", async () => {
    await using world = await World.start({ app: answering(ok("x")) });
    using peer = await world.connect();
    for (const byte of head("POST /", "Content-Length: 0")) {
      peer.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.until("\r\n\r\nx");
  });

  it("that is malformed is refused, and ends the connection", async () => {
    await using world = await World.start({ app: answering(ok("x")) });
    const answer = await world.say(`GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n${head("GET /")}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*Connection: close\r\n\r\nMalformedRequest $/);
    expect(world.appSockets).toHaveLength(0);
    await world.over(1);
    expect(world.ends[0]).toMatchObject({ status: 400, code: "MalformedRequest" });
  });

  it.each([
    ["another sandbox's host", "GET / HTTP/1.1\r\nHost: sb-01jz0000000000000000000009.localhost\r\n\r\n"],
    ["no sandbox's host", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"],
  ])("for %s is misdirected", async (_what, request) => {
    await using world = await World.start({ app: answering(ok("x")) });
    expect(await world.say(request)).toContain("MisdirectedRequest");
  });

  it("that waits for 100 (Continue) is told so when the app is connected, and not when it is refused", async () => {
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", () => socket.write(ok("done")));
        socket.on("end", () => socket.end());
      },
    });
    const request = head("POST /", "Content-Length: 3", "Expect: 100-continue");
    const { appPort } = world;
    world.door.lead(INSTANCE_ID, 8_080, { refuse: 502 });
    using other = await world.connect();
    other.send(request);
    await other.ended;
    expect(other.text).toMatch(/^HTTP\/1\.1 502 [\s\S]*NothingListens 8080$/);
    world.door.lead(INSTANCE_ID, 8_080, { loopbackPort: appPort });
    using peer = await world.connect();
    peer.send(request);
    await peer.until("HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("abc");
    await peer.until("done");
  });
});

describe("a body", () => {
  const CHUNKS = ["5;a=b\r\nhello\r\n", "7\r\n, world\r\n", "0\r\nX-Sum: 1\r\nX-Verified-User-Data: x\r\n\r\n"];

  it("with a length or in chunks reaches the app in the proxy's own framing", async () => {
    let received = "";
    await using world = await World.start({
      app: (socket) => {
        socket.on("data", (data: Buffer) => {
          received += data.toString("latin1");
          if (received.endsWith("abc") || received.endsWith("0\r\nX-Sum: 1\r\n\r\n")) socket.write(ok("x"));
        });
        socket.on("end", () => socket.end());
      },
    });
    using peer = await world.connect();
    peer.send(`${head("POST /1", "Content-Length: 3")}abc`);
    await peer.until((text) => text.endsWith("x"));
    expect(received).toBe(`${head("POST /1", "Content-Length: 3", "Connection: close")}abc`);
    received = "";
    peer.send(head("POST /2", "Transfer-Encoding: chunked", "Trailer: X-Sum") + CHUNKS.join(""));
    await peer.until((text) => text.split("200 OK").length === 3 && text.endsWith("x"));
    const chunk = "c\r\nhello, world\r\n";
    const second = head("POST /2", "Transfer-Encoding: chunked", "Connection: close");
    expect(received).toBe(`${second}${chunk}0\r\nX-Sum: 1\r\n\r\n`);
    // An app that left the body unread must not take it for a request.
    expect(world.appSockets).toHaveLength(2);
    expect(world.upstream.idleConnections).toBe(0);
  });

  it("that turns out malformed cuts the app's connection, and is refused", async () => {
    await using world = await World.start({ app: (socket) => socket.resume() });
    const answer = await world.say(`${head("POST /", "Transfer-Encoding: chunked")}3\r\nabcX0\r\n\r\n${head("GET /")}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*MalformedRequest 8080$/);
    await world.over(1);
    expect(world.upstream.requests).toBe(0);
  });

  it("of a client that goes away takes the app's connection with it", async () => {
    const closed = Promise.withResolvers<void>();
    await using world = await World.start({
      app: (socket) =>
        socket
          .on("close", () => closed.resolve())
          .on("end", () => socket.end())
          .resume(),
    });
    using peer = await world.connect();
    peer.send(`${head("POST /", "Content-Length: 10")}abc`);
    while (world.appSockets[0]?.bytesRead === undefined) await new Promise((resolve) => setImmediate(resolve));
    peer.socket.destroy();
    await closed.promise;
    await world.over(1);
    expect(world.ends[0]).toMatchObject({ outcome: "client-cut", status: 0, inBytes: 3 });
  });
});

describe("an answer", () => {
  const answered = async (answer: string, request = head("GET /")) => {
    const world = await World.start({
      app: (socket) => {
        socket.once("data", () => socket.end(answer, "latin1"));
      },
    });
    const text = await world.say(request);
    await world.over(1);
    return { text, world };
  };
  const check = async (answer: string, request: string, expected: (text: string, world: Place) => void) => {
    const { text, world } = await answered(answer, request);
    await using _ = world;
    expected(text, world);
  };

  it.each([
    [
      "chunks",
      head("GET /"),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n",
      "3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    ],
    [
      "chunks to an HTTP/1.0 client",
      head("GET /").replace("1.1", "1.0"),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "abc",
    ],
    ["what ends with the connection", head("GET /"), "HTTP/1.1 200 OK\r\n\r\nabc", "abc"],
    ["a HEAD with a length", head("HEAD /"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ""],
    ["304 with a length", head("GET /"), "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""],
    ["204", head("GET /"), "HTTP/1.1 204 No Content\r\n\r\n", ""],
  ])("of %s is framed for the client", async (what, request, answer, body) => {
    await check(answer, request, (text) => {
      expect(bodyOf(text)).toBe(body);
      const length = what.includes("with a length") ? "Content-Length: 5" : undefined;
      if (length !== undefined) expect(text).toContain(length);
      expect(text).toContain("Connection: close");
    });
  });

  it.each([
    ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"],
    ["a disguised length", "HTTP/1.1 200 OK\r\nContent_Length: 3\r\n\r\nabc"],
    ["a fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"],
    ["a bare line feed", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
    ["another protocol", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["an unasked 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["endless 1xx", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20)],
    ["a head without end", `HTTP/1.1 200 OK\r\nA: ${"b".repeat(100_000)}`],
  ])("of %s is a bad one", async (_what, answer) => {
    await check(answer, head("GET /"), (text, world) => {
      expect(text).toMatch(/HTTP\/1\.1 502 [\s\S]*BadAnswer 8080$/);
      expect(world.upstream.idleConnections).toBe(0);
    });
  });

  it("of nothing is told", async () => {
    await check("", head("GET /"), (text) => expect(text).toMatch(/^HTTP\/1\.1 502 [\s\S]*NoAnswer 8080$/));
  });

  it("with 1xx before it is passed on with them, but to HTTP/1.0", async () => {
    const answer = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${ok("x")}`;
    await check(answer, head("GET /"), (text) => {
      expect(text).toMatch(
        /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/,
      );
    });
    await check(answer, head("GET /").replace("1.1", "1.0"), (text) => expect(text).toMatch(/^HTTP\/1\.1 200 OK/));
  });

  it.each([
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"],
    ["malformed chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX"],
  ])("that breaks off within %s is cut, not completed", async (_what, answer) => {
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", () => socket.end(answer, "latin1"));
      },
    });
    using peer = await world.connect();
    peer.send(head("GET /"));
    expect(await peer.ended).toBe("reset");
    await world.over(1);
    expect(world.ends[0]).toMatchObject({ outcome: "app-cut", status: 200 });
  });

  it("with bytes behind it costs the app its connection, and nobody else gets them", async () => {
    await using world = await World.start({ app: answering(`${ok("abc")}HTTP/1.1 200 OK\r\n`) });
    using peer = await world.connect();
    peer.send(head("GET /1"));
    await peer.until("abc");
    peer.send(head("GET /2"));
    await peer.until((text) => text.split("abc").length === 3);
    expect(world.appSockets).toHaveLength(2);
  });

  it("before the body is complete ends the connection after it", async () => {
    await using world = await World.start({ app: answering(ok("too much")) });
    using peer = await world.connect();
    peer.send(`${head("POST /", "Content-Length: 1000000")}abc`);
    expect(await peer.ended).toBe("end");
    expect(peer.text).toMatch(/Connection: close\r\n\r\ntoo much$/);
    expect(world.upstream.idleConnections).toBe(0);
  });

  it("comes although the client has closed its half", async () => {
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", () => setTimeout(() => socket.write(ok("late")), 50));
        socket.on("end", () => socket.end());
      },
    });
    expect(bodyOf(await world.say(head("GET /")))).toBe("late");
  });
});

describe("a connection of the app", () => {
  it("that went stale is replaced once for what can be repeated", async () => {
    const requests: string[] = [];
    await using world = await World.start({
      app: (socket) => {
        let count = 0;
        socket.on("data", (data: Buffer) => {
          requests.push(data.toString("latin1").split(" ").slice(0, 2).join(" "));
          count += 1;
          if (count === 1) socket.write(ok("x"));
          else socket.destroy();
        });
      },
    });
    using peer = await world.connect();
    peer.send(head("GET /1"));
    await peer.until("x");
    peer.send(head("GET /2"));
    await peer.until((text) => text.split("200 OK").length === 3);
    peer.send(head("POST /3", "Content-Length: 0"));
    await peer.until("NoAnswer");
    expect(requests).toEqual(["GET /1", "GET /2", "GET /2", "POST /3"]);
  });

  it("that says something unasked is closed", async () => {
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", () => {
          socket.write(ok("x"));
          setTimeout(() => socket.write(ok("for the next one")), 20);
        });
        socket.on("end", () => socket.end());
      },
    });
    using peer = await world.connect();
    peer.send(head("GET /1"));
    await peer.until("\r\n\r\nx");
    while (world.upstream.idleConnections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    peer.send(head("GET /2"));
    await peer.until((text) => text.endsWith("x") && text.split("200 OK").length === 3);
    expect(peer.text).not.toContain("next one");
  });

  it("on which the app speaks first is none to speak HTTP over", async () => {
    await using world = await World.start({ app: (socket) => socket.resume().write("SSH-2.0-app\r\n") });
    for (let count = 0; count < 20; count += 1) expect(await world.say(head("GET /"))).toContain("BadAnswer 8080");
    expect(world.upstream.idleConnections).toBe(0);
    expect(world.upstream.connections).toBe(0);
  });

  it.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0],
    ["HEAD", "HTTP/1.1 200 OK\r\n\r\n", 0],
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0],
    ["GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 0],
    ["GET", "HTTP/1.1 304 Not Modified\r\n\r\n", 1],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n", 1],
  ])("on which a body may follow an answer that has none is not kept (%s, %j: %i)", async (method, answer, kept) => {
    await using world = await World.start({ app: answering(answer) });
    using peer = await world.connect();
    peer.send(head(`${method} /`));
    await peer.until("\r\n\r\n");
    expect(world.upstream.idleConnections).toBe(kept);
  });

  it("that cannot be made is asked for again while its server may be starting", async () => {
    await using world = await World.start({ app: answering(ok("x")), limits: { startRetryMs: 10_000 } });
    const { appPort } = world;
    world.door.lead(INSTANCE_ID, 8_080, { refuse: 502 });
    using peer = await world.connect();
    peer.send(head("GET /"));
    while (world.door.requests.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    world.door.lead(INSTANCE_ID, 8_080, { loopbackPort: appPort });
    await peer.until("\r\n\r\nx");
  });

  it.each([
    [403, "PortNotGranted"],
    [410, "SandboxEnded"],
    [502, "NothingListens"],
    [503, "SandboxNotReady"],
  ] as const)("that the gateway refuses with %i is told as %s", async (refuse, code) => {
    await using world = await World.start({ app: answering(ok("x")) });
    world.door.lead(INSTANCE_ID, 8_080, { refuse });
    expect(await world.say(head("GET /"))).toContain(`${code} 8080`);
  });
});

describe("a gibibyte", () => {
  const CHUNK = Buffer.alloc(64 * 1_024, "0123456789abcdef");
  const CHUNKS = 1_024;
  const sumOf = (count: number) => {
    const hash = createHash("sha256");
    for (let index = 0; index < count; index += 1) hash.update(CHUNK);
    return hash.digest("hex");
  };

  it.each(["Content-Length: ", "Transfer-Encoding: chunked"])(
    "(a part of it) by %s comes whole to a slow reader",
    async (framing) => {
      const isChunked = framing.endsWith("chunked");
      let written = 0;
      await using world = await World.start({
        app: (socket) => {
          socket.once("data", () => {
            socket.write(`HTTP/1.1 200 OK\r\n${isChunked ? framing : framing + CHUNK.length * CHUNKS}\r\n\r\n`);
            let left = CHUNKS;
            const more = () => {
              for (; left > 0; left -= 1) {
                const part = isChunked ? Buffer.concat([Buffer.from("10000\r\n"), CHUNK, Buffer.from("\r\n")]) : CHUNK;
                written += part.length;
                if (!socket.write(part)) {
                  left -= 1;
                  socket.once("drain", more);
                  return;
                }
              }
              socket.end(isChunked ? "0\r\n\r\n" : "");
            };
            more();
          });
        },
      });
      using peer = await world.connect();
      const hash = createHash("sha256");
      peer.socket.removeAllListeners("data");
      peer.send(head("GET /", "Connection: close"));
      let text = Buffer.alloc(0);
      let inBody = false;
      let reads = 0;
      let read = 0;
      /** How many bytes the app was ahead of the reader at most. */
      let lead = 0;
      const chunks: Buffer[] = [];
      for await (const data of peer.socket) {
        reads += 1;
        read += (data as Buffer).length;
        lead = Math.max(lead, written - read);
        if (reads % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        if (inBody) chunks.push(data as Buffer);
        else {
          text = Buffer.concat([text, data as Buffer]);
          const end = text.indexOf("\r\n\r\n");
          if (end === -1) continue;
          inBody = true;
          chunks.push(text.subarray(end + 4));
        }
        if (!isChunked) for (const chunk of chunks.splice(0)) hash.update(chunk);
      }
      if (isChunked) {
        const all = Buffer.concat(chunks);
        for (let at = 0; ; ) {
          const lineEnd = all.indexOf("\r\n", at);
          const size = Number.parseInt(all.toString("latin1", at, lineEnd), 16);
          if (size === 0) break;
          hash.update(all.subarray(lineEnd + 2, lineEnd + 2 + size));
          at = lineEnd + 2 + size + 2;
        }
      }
      expect(hash.digest("hex")).toBe(sumOf(CHUNKS));
      // What the kernel's buffers on the way hold, and not half of the whole.
      expect(lead).toBeLessThan((CHUNKS * CHUNK.length) / 2);
    },
  );

  it("(a part of it) goes up whole to a slow app, without being gathered", async () => {
    const hash = createHash("sha256");
    let reads = 0;
    await using world = await World.start({
      app: (socket) => {
        let isHead = true;
        let bytes = 0;
        socket.on("data", (data: Buffer) => {
          reads += 1;
          const start = isHead ? data.indexOf("\r\n\r\n") + 4 : 0;
          isHead = false;
          const content = data.subarray(start);
          bytes += content.length;
          hash.update(content);
          if (bytes === CHUNK.length * CHUNKS) socket.write(ok("x"));
          else if (reads % 64 === 0) {
            socket.pause();
            setTimeout(() => socket.resume(), 2);
          }
        });
        socket.on("end", () => socket.end());
      },
    });
    using peer = await world.connect();
    peer.send(head("POST /", `Content-Length: ${CHUNK.length * CHUNKS}`));
    for (let index = 0; index < CHUNKS; index += 1) {
      if (!peer.socket.write(CHUNK)) await new Promise((resolve) => peer.socket.once("drain", resolve));
    }
    await peer.until("\r\n\r\nx");
    expect(hash.digest("hex")).toBe(sumOf(CHUNKS));
  });
});

describe("time", () => {
  it("is limited for a head, a body, an answer, and between requests", async () => {
    const limits = { headMs: 100, stallMs: 100, answerMs: 100, idleMs: 100, lingerMs: 50 };
    await using world = await World.start({ app: (socket) => socket.on("end", () => socket.end()).resume(), limits });
    const until = async (text: string) => {
      using peer = await world.connect();
      peer.send(text);
      await peer.ended;
      return peer.text;
    };
    expect(await until("GET / HT")).toMatch(/^HTTP\/1\.1 408 [\s\S]*RequestTimeout $/);
    expect(await until("")).toBe("");
    expect(await until(`${head("POST /", "Content-Length: 10")}abc`)).toMatch(
      /^HTTP\/1\.1 408 [\s\S]*RequestTimeout 8080$/,
    );
    expect(await until(head("GET /"))).toMatch(/^HTTP\/1\.1 504 [\s\S]*AnswerTimeout 8080$/);
  });

  it("is limited for a client that has closed its half, and for a token that has expired", async () => {
    const limits = { halfClosedMs: 100, outliveMs: 100 };
    const app = (socket: Socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nfirst"));
      socket.on("end", () => socket.end());
    };
    await using gone = await World.start({ app, limits });
    using client = await gone.connect();
    client.socket.end(head("GET /"));
    await gone.over(1);
    expect(gone.ends[0]).toMatchObject({ outcome: "client-cut", status: 200 });
    await using late = await World.start({ app, limits, expiresAtMs: Date.now() + 1_000 });
    using waiting = await late.connect();
    waiting.send(head("GET /"));
    await late.over(1);
    expect(late.ends[0]).toMatchObject({ outcome: "proxy-cut", code: "Expired", status: 200 });
  });

  it("is limited for a client that takes nothing", async () => {
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 200 OK\r\n\r\n");
          socket.write(Buffer.alloc(32 * 1_024 * 1_024));
        });
      },
      limits: { stallMs: 150 },
    });
    using peer = await world.connect();
    peer.socket.pause();
    peer.send(head("GET /"));
    await world.over(1);
    expect(world.ends[0]).toMatchObject({ outcome: "proxy-cut", code: "ClientStalled" });
  });
});

describe("the end of the proxy", () => {
  it("closes connections on which nothing comes, and lets what is under way be answered", async () => {
    const answer = Promise.withResolvers<void>();
    await using world = await World.start({
      app: (socket) => {
        socket.once("data", () => {
          answer.promise.then(
            () => socket.write(ok("last")),
            () => undefined,
          );
        });
        socket.on("end", () => socket.end());
      },
    });
    using silent = await world.connect();
    using busy = await world.connect();
    busy.send(head("GET /"));
    while (world.appSockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
    world.front.drain();
    expect(await silent.ended).toBe("end");
    answer.resolve();
    expect(await busy.ended).toBe("end");
    expect(busy.text).toMatch(/Connection: close\r\n\r\nlast$/);
  });

  it("answers the request that is on its way just now, the first of who has just come too, and closes what waits", async () => {
    await using world = await World.start({ app: answering(ok("x")) });
    const used = async () => {
      const peer = await world.connect();
      peer.send(head("GET /"));
      await peer.until((text) => text.endsWith("x"));
      return peer;
    };
    using kept = await used();
    using idle = await used();
    using early = await world.connect();
    world.front.drain();
    using late = await world.connect();
    for (const peer of [kept, early, late]) {
      peer.send(head("GET /"));
      expect(await peer.ended).toBe("end");
      expect(peer.text).toMatch(/HTTP\/1\.1 200 OK\r\n[^x]*Connection: close\r\n\r\nx$/);
    }
    expect(await idle.ended).toBe("end");
    expect(idle.text.match(/HTTP/g)).toHaveLength(1);
  });

  it("of a token between its decision and its way to the app is noticed", async () => {
    await using world = await World.start({ app: answering(ok("x")) });
    world.grantProblem = "Revoked";
    expect(await world.say(head("GET /"))).toContain("TokenRevoked 8080");
    expect(world.appSockets).toHaveLength(0);
  });

  it("and a revoked token cut what is under way", async () => {
    await using world = await World.start({ app: (socket) => socket.resume() });
    using peer = await world.connect();
    peer.send(head("GET /"));
    while (world.appSockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
    world.grantProblem = "Revoked";
    world.change();
    expect(await peer.ended).toBe("reset");
    expect(world.ends[0]).toMatchObject({ code: "Revoked", outcome: "proxy-cut" });
  });
});
