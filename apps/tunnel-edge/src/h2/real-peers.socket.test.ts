// Clients and servers that nobody here wrote, through the relay: Node's HTTP/2, gRPC, curl, nghttp, h2load.
import { execFile, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { ClientHttp2Session, ClientHttp2Stream, Http2Server, ServerHttp2Stream } from "node:http2";
import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Metadata } from "@grpc/grpc-js";
import { EchoClient, startEcho } from "@sallyport/testkit/grpc-echo";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Place } from "../../test/h2-place.ts";
import { DOMAIN, HOST, startPlace } from "../../test/h2-place.ts";

const run = promisify(execFile);
const MIB = 1_048_576;
const large = randomBytes(8 * MIB);
let server: Http2Server;
let place: Place;
let folder: string;
let caFile: string;
const cleanUp = new AsyncDisposableStack();

beforeAll(async () => {
  // Node breaks off by ENHANCE_YOUR_CALM what it holds too much of itself.
  server = createServer({ maxSessionMemory: 1_000 });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    if (headers[":path"] === "/large") {
      stream.respond({ ":status": 200 });
      stream.end(large);
      return;
    }
    const hash = createHash("sha256");
    stream.on("data", (piece: Buffer) => hash.update(piece));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "x-many": "v".repeat(300) }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "there" }));
      stream.end(hash.digest("hex"));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const echo = cleanUp.use(await startEcho());
  place = cleanUp.use(await startPlace({ one: (server.address() as AddressInfo).port, grpc: echo.port }));
  folder = await mkdtemp(join(tmpdir(), "sallyport-h2-"));
  caFile = join(folder, "ca.pem");
  await writeFile(caFile, place.ca);
});

afterAll(async () => {
  await cleanUp.disposeAsync();
  server.close();
  await rm(folder, { recursive: true });
});

function session(): ClientHttp2Session & AsyncDisposable {
  const made = connect(`https://${HOST}:${place.port}`, {
    ca: place.ca,
    servername: HOST,
    maxSessionMemory: 1_000,
    lookup: (_name, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
  });
  return Object.assign(made, {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => made.close(resolve));
    },
  });
}

async function readAll(stream: ClientHttp2Stream, waitMs = 0): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of stream) {
    hash.update(piece as Buffer);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  return hash.digest("hex");
}

const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("node:http2", () => {
  it("sends and gets trailers", async () => {
    await using client = session();
    const stream = client.request({ ":method": "POST" }, { endStream: false, waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-mine": "1" }));
    stream.end("body");
    const trailers = once(stream, "trailers");
    expect(await readAll(stream)).toBe(sha(Buffer.from(sha(Buffer.from("body")))));
    expect((await trailers)[0]).toMatchObject({ "x-sum": "there" });
  });

  it("sends large bodies on a hundred streams at once, each whole", async () => {
    await using client = session();
    await Promise.all(
      Array.from({ length: 100 }, async (_, at) => {
        const body = randomBytes(200_000 + at);
        const stream = client.request({ ":method": "POST" });
        stream.end(body);
        expect(await readAll(stream)).toBe(sha(Buffer.from(sha(body))));
      }),
    );
  });

  it("gets large answers whole, slowly and quickly read on one connection", async () => {
    await using client = session();
    const slow = readAll(client.request({ ":path": "/large" }), 2);
    const quick = Array.from({ length: 4 }, () => readAll(client.request({ ":path": "/large" })));
    const expected = sha(large);
    expect(await Promise.all(quick)).toEqual(quick.map(() => expected));
    expect(await slow).toBe(expected);
  });

  it("has many connections, one after the other", async () => {
    for (let count = 0; count < 20; count += 1) {
      await using client = session();
      const stream = client.request({ ":method": "POST" });
      stream.end("x");
      await readAll(stream);
    }
    const ended = await Promise.all(place.relays.slice(-20).map(({ done }) => done));
    expect(ended.map(({ end }) => end)).toEqual(Array.from({ length: 20 }, () => "ended"));
    expect(ended.map(({ streams }) => streams)).toEqual(Array.from({ length: 20 }, () => 1));
  });
});

describe("grpc-js", () => {
  const client = () => {
    const made = new EchoClient(place.port, place.ca, `grpc.${DOMAIN}`);
    cleanUp.defer(() => made.close());
    return made;
  };
  const ask = async (one: EchoClient, said: string, metadata = new Metadata()) => {
    const trailers = Promise.withResolvers<Metadata>();
    const answer = await new Promise<string | undefined>((resolve, reject) => {
      const call = one.unary(said, metadata, (error, text) => (error === null ? resolve(text) : reject(error)));
      call.on("status", (status) => trailers.resolve(status.metadata));
    });
    return { answer, trailers: await trailers.promise };
  };

  it("calls, with metadata, trailers and binary ones", async () => {
    const metadata = new Metadata();
    metadata.set("x-said", "before");
    const { answer, trailers } = await ask(client(), "hello", metadata);
    expect(answer).toBe("hello before");
    expect(trailers.get("x-trailer")).toEqual(["behind"]);
    expect(trailers.get("x-blob-bin")).toEqual([Buffer.from([0, 255, 13, 10])]);
  });

  it("gets an error, which is trailers alone", async () => {
    await expect(ask(client(), "fail")).rejects.toMatchObject({ code: 9, details: "not now" });
  });

  it("streams to a server", async () => {
    const length = new Promise((resolve, reject) => {
      const call = client().collect((error, text) => (error === null ? resolve(text) : reject(error)));
      for (let at = 0; at < 500; at += 1) call.write("z".repeat(1_000));
      call.end();
    });
    expect(await length).toBe("500000");
  });

  it("is streamed to", async () => {
    const seen: number[] = [];
    for await (const text of client().count(500)) seen.push(Number(text));
    expect(seen).toEqual(Array.from({ length: 500 }, (_, at) => at));
  });

  it("talks both ways, in turns", async () => {
    const call = client().chat();
    for (const text of ["one", "two", "three"]) {
      call.write(text);
      expect(await once(call, "data")).toEqual([text.toUpperCase()]);
    }
    const over = once(call, "status");
    call.end();
    expect((await over)[0]).toMatchObject({ code: 0 });
  });

  it("cancels, and the connection goes on", async () => {
    const one = client();
    const call = one.chat();
    call.write("x");
    await once(call, "data");
    const over = new Promise((resolve) => call.once("error", resolve));
    call.cancel();
    expect(await over).toMatchObject({ code: 1 });
    expect((await ask(one, "again")).answer).toBe("again undefined");
  });
});

const isMissing = (program: string) => spawnSync(program, ["--version"]).error !== undefined;
const at = () => `https://${HOST}:${place.port}`;

describe("programs", () => {
  it.skipIf(isMissing("curl"))("curl", async () => {
    const options = ["-sS", "--http2", "--cacert", caFile, "--resolve", `${HOST}:${place.port}:127.0.0.1`];
    const { stdout } = await run("curl", [...options, "-w", " %{http_version} %{http_code}", "-d", "body", `${at()}/`]);
    expect(stdout).toBe(`${sha(Buffer.from("body"))} 2 200`);
    const elsewhere = ["-H", "Host: other.example", "-o", join(folder, "answer"), "-w", "%{http_code}"];
    expect((await run("curl", [...options, ...elsewhere, `${at()}/`])).stdout).toBe("421");
  });

  it.skipIf(isMissing("nghttp"))("nghttp, with padding, CONTINUATION, trailers and a body", async () => {
    const file = join(folder, "body");
    await writeFile(file, large);
    const options = [
      "--no-verify-peer",
      "-H",
      `:authority: ${HOST}`,
      "-b",
      "100",
      "--continuation",
      "--trailer",
      "x: y",
    ];
    const { stdout } = await run("nghttp", [...options, "-d", file, `https://127.0.0.1:${place.port}/`]);
    expect(stdout).toBe(sha(large));
  });

  it.skipIf(isMissing("h2load"))("h2load, ten connections of a hundred streams", async () => {
    const options = ["-n", "5000", "-c", "10", "-m", "100", `--connect-to=127.0.0.1:${place.port}`];
    const { stdout } = await run("h2load", [...options, `${at()}/`]);
    expect(stdout).toContain("5000 succeeded, 0 failed, 0 errored, 0 timeout");
    expect(stdout).toContain("status codes: 5000 2xx");
  });
});
