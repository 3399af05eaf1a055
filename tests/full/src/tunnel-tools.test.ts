// Tunnels between clients and servers neither of which anybody here wrote: OpenSSH and Dropbear, Redis, nghttp2 with its
// tools, grpc-js and gRPC's own Python server.
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect as connectH2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tunnel } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { EchoClient, echoMetadata } from "@sallyport/testkit/grpc-echo";
import { startPlatform } from "@sallyport/testkit/platform";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addPackages } from "./sandbox-packages.ts";

const MIB = 1_048_576;
const TOOL_TIMEOUT_MS = 60_000;
const PACKAGES = ["dropbear-bin", "fakeroot", "nghttp2-server", "python3-grpcio", "redis-server"];
/** Ends once somebody listens at each of these ports. */
const AWAIT_PORTS = `
import socket, sys, time
for port in sys.argv[1:]:
    while socket.socket().connect_ex(("127.0.0.1", int(port))):
        time.sleep(0.05)
`;

const stack = new AsyncDisposableStack();
const blob = randomBytes(5 * MIB);
let folder: string;
let caFile: string;
let sandbox: Sandbox<2222 | 6379 | 8000 | 9000>;
let ssh: Tunnel;
let redis: Tunnel;
let web: Tunnel;
let grpc: Tunnel;
let hostKey: string;

beforeAll(async () => {
  const platform = stack.use(await startPlatform());
  const { token } = await platform.createWorkspace("tools");
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  folder = await mkdtemp(join(tmpdir(), "tunnel-tools-"));
  stack.defer(() => rm(folder, { recursive: true }));
  sandbox = await Sandbox.create(["sleep", "infinity"], {
    client,
    unencryptedPorts: [2_222, 6_379],
    h2Ports: [8_000, 9_000],
  });
  ({ 2222: ssh, 6379: redis, 8000: web, 9000: grpc } = await sandbox.tunnels());
  caFile = inFolder("ca.pem");
  await writeFile(caFile, ssh.caPem ?? "");
  await addPackages(sandbox, ...PACKAGES);
  await startServers();
}, 180_000);

afterAll(async () => {
  await stack.disposeAsync();
});

async function startServers(): Promise<void> {
  await tool("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", inFolder("key")]);
  const { fs } = sandbox;
  await fs.mkdir("/root/.ssh");
  await fs.write("/root/.ssh/authorized_keys", await readFile(inFolder("key.pub")), { mode: 0o600 });
  await fs.mkdir("/srv/web");
  await fs.write("/srv/web/blob", blob);
  await fs.write("/srv/web/page", blob.subarray(0, 200_000));
  await fs.write("/srv/web/small", "small");
  const { stdout } = await sandbox.run(["dropbearkey", "-t", "ed25519", "-f", "/root/host-key"], { check: true });
  [hostKey = ""] = /^ssh-ed25519 \S+/m.exec(stdout) ?? [];
  const server = await readFile(new URL("grpc_echo.py", import.meta.url), "utf8");
  // It sets its groups when somebody logs in, which root may not where it has no capabilities.
  await sandbox.exec(["fakeroot-sysv", "dropbear", "-F", "-E", "-s", "-r", "/root/host-key", "-p", "2222"]);
  await sandbox.exec(["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", "/tmp"]);
  await sandbox.exec(["nghttpd", "--no-tls", "--echo-upload", "--htdocs=/srv/web", "8000"]);
  await sandbox.exec(["python3", "-c", server, "0.0.0.0:9000"]);
  const ports = ["2222", "6379", "8000", "9000"];
  await sandbox.run(["python3", "-c", AWAIT_PORTS, ...ports], { check: true, lifetimeMs: TOOL_TIMEOUT_MS });
}

const inFolder = (name: string) => join(folder, name);
const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

interface Ended {
  readonly code: number;
  readonly out: Buffer;
  readonly error: string;
}

/** Runs a program of this machine to its end. */
function tool(program: string, args: readonly string[], input: string | Buffer = ""): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { encoding: "buffer", maxBuffer: 64 * MIB, timeout: TOOL_TIMEOUT_MS } as const;
    const child = execFile(program, args, options, (failure, out, error) => {
      const { code = 0, killed } = failure ?? {};
      if (typeof code === "string" || killed) reject(failure ?? new Error(program));
      else resolve({ code: Number(code), out, error: error.toString() });
    });
    child.stdin?.on("error", () => undefined); // one that reads nothing may have ended
    child.stdin?.end(input);
  });
}

/** What it prints; rejects where it fails. */
async function printed(program: string, args: readonly string[], input?: string | Buffer): Promise<Buffer> {
  const { code, out, error } = await tool(program, args, input);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${error}${out.toString().slice(-2_000)}`);
  return out;
}

describe("ssh", () => {
  const session = async (options: readonly string[], command: readonly string[], input?: string | Buffer) => {
    const [host, port] = ssh.tcpSocket ?? ["", 0];
    await writeFile(inFolder("known_hosts"), `[${host}]:${port} ${hostKey}\n`);
    const known = ["-o", `UserKnownHostsFile=${inFolder("known_hosts")}`, "-o", "StrictHostKeyChecking=yes"];
    const usual = ["-F", "none", "-o", "BatchMode=yes", "-i", inFolder("key"), "-p", `${port}`, ...known];
    return await tool("/usr/bin/ssh", [...usual, ...options, `root@${host}`, ...command], input);
  };
  /** The server speaks first in SSH: so it does behind TLS. */
  const overTls = () => {
    const { host, port } = ssh;
    const openssl = `openssl s_client -quiet -verify_return_error -connect 127.0.0.1:${port} -servername ${host}`;
    return ["-o", `ProxyCommand=${openssl} -CAfile ${caFile}`];
  };

  it("logs in by key, and tells how a command ended", async () => {
    for (const options of [[], overTls()]) {
      const { code, out, error } = await session(options, ["echo out; echo err >&2; exit 7"]);
      expect([code, out.toString(), error]).toEqual([7, "out\n", expect.stringContaining("err\n")]);
    }
    const { code, error } = await session(["-o", "PubkeyAuthentication=no"], ["true"]);
    expect([code, error]).toEqual([255, expect.stringContaining("Permission denied")]);
  });

  it("carries megabytes either way, whole", async () => {
    for (const options of [[], overTls()]) {
      expect(sha((await session(options, ["cat", "/srv/web/blob"])).out)).toBe(sha(blob));
      expect((await session(options, ["sha256sum"], blob)).out.toString()).toBe(`${sha(blob)}  -\n`);
    }
  });

  it("has a terminal", async () => {
    const { code, out } = await session(["-tt"], [], "tty; stty size; exit 3\n");
    expect(out.toString()).toMatch(/^\/dev\/pts\/\d+\r$/m);
    expect(code).toBe(3);
  });
});

describe("redis-cli", () => {
  const raw = () => {
    const [host, port] = redis.tcpSocket ?? ["", 0];
    return ["-h", host, "-p", `${port}`];
  };
  const tls = () => ["-h", "127.0.0.1", "-p", `${redis.port}`, "--tls", "--sni", redis.host, "--cacert", caFile];
  const cli = (where: readonly string[], command: readonly string[], input?: string | Buffer) =>
    printed("/usr/bin/redis-cli", [...where, ...command], input);

  it("talks to its server in plain TCP and over TLS, in megabytes and in many small commands", async () => {
    for (const where of [raw(), tls()]) {
      expect((await cli(where, ["ping"])).toString()).toBe("PONG\n");
      expect((await cli(where, ["-x", "set", "blob"], blob)).toString()).toBe("OK\n");
      // It ends what it prints by a line feed.
      expect(sha((await cli(where, ["get", "blob"])).subarray(0, -1))).toBe(sha(blob));
      const commands = Array.from({ length: 20_000 }, (_, at) => `SET key:${at} ${at}\r\n`).join("");
      expect((await cli(where, ["--pipe"], commands)).toString()).toContain("errors: 0, replies: 20000");
      expect((await cli(where, ["get", "key:19999"])).toString()).toBe("19999\n");
      expect((await cli(where, ["flushall"])).toString()).toBe("OK\n");
    }
  });

  it("has fifty connections at once answered", async () => {
    for (const where of [raw(), tls()]) {
      const load = ["-n", "5000", "-c", "50", "-P", "8", "-t", "set,get", "--csv"];
      const report = (await printed("/usr/bin/redis-benchmark", [...where, ...load])).toString();
      expect(report).toMatch(/^"SET","[1-9]/m);
      expect(report).toMatch(/^"GET","[1-9]/m);
    }
    const stats = (await cli(raw(), ["info", "stats"])).toString();
    expect(Number(/total_connections_received:(\d+)/.exec(stats)?.[1])).toBeGreaterThan(200);
    expect(stats).toContain("total_error_replies:0");
  });

  it("trusts nobody else, and comes to no other name", async () => {
    const at = ["-h", "127.0.0.1", "-p", `${redis.port}`, "--tls"];
    await expect(cli([...at, "--sni", redis.host], ["ping"])).rejects.toThrow(/certificate verify failed/i);
    const other = ["--sni", "tn-00000000000000000000000000.localhost", "--cacert", caFile];
    await expect(cli([...at, ...other], ["ping"])).rejects.toThrow(/unrecognized name/i);
  });
});

describe("nghttp2's", () => {
  const nghttp = (options: readonly string[], path: string) => {
    const authority = ["-H", `:authority: ${web.host}:${web.port}`];
    const url = `https://127.0.0.1:${web.port}${path}`;
    return printed("/usr/bin/nghttp", ["--no-verify-peer", ...authority, ...options, url]);
  };

  it("nghttp fetches and sends megabytes", async () => {
    expect(sha(await nghttp([], "/blob"))).toBe(sha(blob));
    await writeFile(inFolder("body"), blob);
    expect(sha(await nghttp(["-d", inFolder("body"), "--trailer", "x: y"], "/echo"))).toBe(sha(blob));
  });

  it("nghttp has fifty streams at once, with padding and CONTINUATION, each answered", async () => {
    const options = ["--null-out", "--stat", "-m", "50", "--padding=64", "--continuation"];
    const report = (await nghttp(options, "/page")).toString();
    expect(report.match(/ 200 +\S+ \/page$/gm)).toHaveLength(50);
  });

  it("h2load has every request answered by 200", async () => {
    const load = ["-n", "4000", "-c", "20", "-m", "50", `--connect-to=127.0.0.1:${web.port}`];
    const report = (await printed("/usr/bin/h2load", [...load, `${web.url}/small`])).toString();
    expect(report).toContain("4000 succeeded, 0 failed, 0 errored, 0 timeout");
    expect(report).toContain("status codes: 4000 2xx, 0 3xx, 0 4xx, 0 5xx");
    expect(report).toContain("Application protocol: h2");
  });
});

describe("grpc-js", () => {
  let caller: EchoClient;
  beforeAll(() => {
    caller = new EchoClient(grpc.port, grpc.caPem ?? "", grpc.host);
    stack.defer(() => caller.close());
  });

  const unary = (said: string, metadata = echoMetadata()) => {
    const { promise, reject, resolve } = Promise.withResolvers<{ answer: string; trailers: object }>();
    let answer = "";
    const call = caller.unary(said, metadata, (error, text) => {
      if (error === null) answer = text ?? "";
      else reject(error);
    });
    call.on("status", ({ metadata: trailers }) => resolve({ answer, trailers: trailers.getMap() }));
    return promise;
  };

  it("calls, with metadata, trailers and a large message", async () => {
    expect(await unary("hello", echoMetadata("before"))).toEqual({
      answer: "hello before",
      trailers: { "x-trailer": "behind", "x-blob-bin": Buffer.from([0, 255, 13, 10]) },
    });
    const large = "z".repeat(3 * MIB);
    expect((await unary(large)).answer).toBe(`${large} nothing`);
  });

  it("gets an error, which is trailers alone", async () => {
    await expect(unary("fail")).rejects.toMatchObject({ code: 9, details: "not now" });
    const { caPem = "", host, port } = grpc;
    const connection = connectH2(`https://${host}:${port}`, {
      ca: caPem,
      lookup: (_name, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
    });
    try {
      const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
      const call = connection.request({ ...headers, ":path": "/test.Echo/Unary" });
      call.end(Buffer.from("\0\0\0\0\u0004fail"));
      const END_STREAM = 1;
      const [head, flags] = (await once(call, "response")) as [Record<string, string>, number];
      expect(head).toMatchObject({ ":status": 200, "grpc-status": "9", "grpc-message": "not now" });
      expect(flags & END_STREAM).toBe(END_STREAM);
    } finally {
      connection.destroy();
    }
  });

  it("streams to the server, is streamed to, and talks both ways in turns", async () => {
    const length = new Promise((resolve, reject) => {
      const call = caller.collect((error, text) => (error === null ? resolve(text) : reject(error)));
      for (let at = 0; at < 500; at += 1) call.write("z".repeat(10_000));
      call.end();
    });
    expect(await length).toBe("5000000");
    const seen: number[] = [];
    for await (const text of caller.count(2_000)) seen.push(Number(text));
    expect(seen).toEqual(Array.from({ length: 2_000 }, (_, at) => at));
    const call = caller.chat();
    for (const text of ["one", "two", "three"]) {
      call.write(text);
      expect(await once(call, "data")).toEqual([text.toUpperCase()]);
    }
    const over = once(call, "status");
    call.end();
    expect((await over)[0]).toMatchObject({ code: 0 });
  });

  it("cancels, and the connection goes on", async () => {
    const call = caller.chat();
    call.write("x");
    await once(call, "data");
    const over = new Promise((resolve) => call.once("error", resolve));
    call.cancel();
    expect(await over).toMatchObject({ code: 1 });
    expect((await unary("again")).answer).toBe("again nothing");
  });
});
