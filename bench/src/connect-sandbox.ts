// What of a request's time into a real sandbox is whose: asked for inside the sandbox, at the gateway's door, and by its
// URL through the proxy, each over one kept connection, one request after the other.
import { once } from "node:events";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import { openPort } from "@sallyport/dataplane";
import { Sandbox } from "@sallyport/sdk";
import { compileApp } from "./connect-app.ts";
import type { ConnectWorld } from "./connect-world.ts";
import { instancesOf } from "./door.ts";
import type { Run } from "./room.ts";
import { COLD, startSide } from "./room.ts";
import type { Result } from "./stats.ts";
import { alone, compare } from "./stats.ts";

const ROUNDS = 10;
const REQUESTS = 100;
const PORT = 8080;
const APP = "/srv/connect-app";
const ANSWER_BYTES = 1_024;

export async function benchConnectSandbox({ say, signal }: Run, world: ConnectWorld): Promise<Result[]> {
  say("sandbox: starting a platform");
  await using side = await startSide(COLD);
  await using sandbox = await Sandbox.create({ client: side.client, signal });
  await sandbox.fs.upload(await compileApp(world.directory, { isStatic: true }), APP);
  await sandbox.run(["chmod", "755", APP], { check: true });
  // It ends with its standard input.
  const server = await sandbox.exec(["sh", "-c", `sleep 1000000 | ${APP} serve ${PORT}`]);
  await server.stdout.getReader().read(); // it is ready
  const ways = {
    inside: async () => {
      const { stdout } = await sandbox.run([APP, "ask", String(PORT), String(REQUESTS)], { check: true });
      return stdout
        .trim()
        .split("\n")
        .map((ns) => Number(ns) / 1e6);
    },
    gateway: async () => ask(await throughGateway(side.platform, sandbox.id, signal), sandbox.id, ""),
    proxy: async () => {
      const token = await sandbox.createConnectToken({ signal });
      return ask(await throughProxy(token), new URL(token.url).host, `Authorization: Bearer ${token.token}\r\n`);
    },
  };
  const samples: Record<keyof typeof ways, number[]> = { inside: [], gateway: [], proxy: [] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    say(`sandbox: round ${round} of ${ROUNDS}`);
    for (const way of Object.keys(ways) as (keyof typeof ways)[]) {
      signal.throwIfAborted();
      const taken = await ways[way]();
      if (round > 0) samples[way].push(...taken.slice(1)); // the first makes connections, or proves the token
    }
  }
  const common = { unit: "ms", ours: samples.proxy } as const;
  return [
    alone({
      name: "connect/sandbox-inside",
      unit: "ms",
      ours: samples.inside,
      because: "1 KiB asked for inside the sandbox, over its own loopback",
    }),
    compare({
      name: "connect/sandbox-gateway",
      unit: "ms",
      ours: samples.gateway,
      peerName: "inside the sandbox",
      peer: samples.inside,
    }),
    compare({ ...common, name: "connect/sandbox", peerName: "inside the sandbox", peer: samples.inside }),
    compare({
      ...common,
      name: "connect/sandbox-proxy",
      peerName: "at the gateway's door, without the proxy and its TLS",
      peer: samples.gateway,
    }),
  ];
}

async function throughGateway(
  platform: { readonly home: string },
  sandboxId: string,
  signal: AbortSignal,
): Promise<Duplex> {
  const instanceId = (await instancesOf(platform)).get(sandboxId);
  if (instanceId === undefined) throw new Error(`the worker has no instance of ${sandboxId}`);
  const target = { sandboxId, instanceId, port: PORT, grantPort: PORT };
  return openPort(join(platform.home, "run/gateway/open/open.sock"), target, { signal });
}

async function throughProxy({
  caPem,
  url,
}: {
  readonly caPem?: string | undefined;
  readonly url: string;
}): Promise<Duplex> {
  const { hostname, port } = new URL(url);
  const trust = caPem === undefined ? {} : { ca: caPem };
  const socket = connect({
    host: "127.0.0.1",
    port: Number(port),
    servername: hostname,
    ALPNProtocols: ["http/1.1"],
    ...trust,
  });
  socket.setNoDelay(true);
  await once(socket, "secureConnect");
  return socket;
}

/** Milliseconds of each request. */
async function ask(stream: Duplex, host: string, header: string): Promise<number[]> {
  const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n${header}\r\n`;
  const taken: number[] = [];
  stream.resume();
  try {
    for (let at = 0; at < REQUESTS; at += 1) {
      const startedAt = performance.now();
      const answer = nextAnswer(stream);
      stream.write(request);
      await answer;
      taken.push(performance.now() - startedAt);
    }
  } finally {
    stream.destroy();
  }
  return taken;
}

/** Resolves when a whole answer has come; rejects when another than 200 begins, or the stream ends. */
function nextAnswer(stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = "";
    const onData = (chunk: Buffer) => {
      received += chunk.toString("latin1");
      const head = received.indexOf("\r\n\r\n");
      if (!received.startsWith("HTTP/1.1 200 ".slice(0, received.length))) settle(new Error(received.slice(0, 300)));
      else if (head !== -1 && received.length >= head + 4 + ANSWER_BYTES) settle();
    };
    const onClose = () => settle(new Error("the connection ended"));
    const settle = (error?: Error) => {
      stream.off("data", onData);
      stream.off("close", onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    stream.on("data", onData);
    stream.on("close", onClose);
  });
}
