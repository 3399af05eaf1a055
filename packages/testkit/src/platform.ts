// A whole platform for tests: the laid-out release, as a user would run it, in a home of its own.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials } from "@grpc/grpc-js";
import { AdminServiceClient, callUnary } from "@sallyport/contracts/grpc";

export interface PlatformOptions {
  /** The laid-out release; `/opt/sallyport/current` when unset. */
  readonly release?: string;
  /** An existing home to start again in; a new temporary one when unset. */
  readonly home?: string;
  /** Those of an earlier start in the same home; free ones when unset. */
  readonly ports?: PlatformPorts;
  readonly env?: Readonly<Record<string, string>>;
}

/** TCP ports of a platform, in the order of {@link freePorts}. The last is that of both edges. */
export type PlatformPorts = readonly [api: number, io: number, apiHttp: number, ioHttp: number, edges: number];

/** A running platform. Disposal is `down` and removes a home that this module made. */
export interface TestPlatform extends AsyncDisposable {
  readonly home: string;
  readonly apiUrl: string;
  /** Base URL of the api over HTTP. */
  readonly restUrl: string;
  readonly release: string;
  readonly ports: PlatformPorts;
  /** The last that the supervisor and its children logged: for the message of a test that fails. */
  logs(): Promise<string>;
  /** What the supervisor says: children with their pids. */
  status(): Promise<PlatformStatus>;
  /** A new workspace and an API token for it. */
  createWorkspace(name: string): Promise<{ token: string; workspaceId: string }>;
  /** Replaces the processes of an edge, as `sallyport restart` does. */
  restart(edge: "connect-proxy" | "tunnel-edge"): Promise<void>;
  /** Stops the processes; sandboxes go on. Start again with `startPlatform({ home, ports })`. */
  stop(): Promise<void>;
}

export interface PlatformStatus {
  readonly state: string;
  readonly pid: number;
  readonly platformId: string;
  readonly children: readonly { name: string; state: string; pid: number; restarts: number; drainingPid?: number }[];
}

/** A busy machine takes several times as long as a free one. */
const START_MS = 180_000;
/** For one that did not start to take away what it made. */
const STOP_MS = 20_000;

/** Starts a platform and waits until all of it is ready. */
export async function startPlatform(options: PlatformOptions = {}): Promise<TestPlatform> {
  const release = options.release ?? "/opt/sallyport/current";
  const home = options.home ?? (await mkdtemp(join(tmpdir(), "sp-")));
  const ports = options.ports ?? (await freePorts());
  const apiListen = `127.0.0.1:${ports[0]}`;
  const env = {
    PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    SALLYPORT_HOME: home,
    SALLYPORT_API_LISTEN: apiListen,
    SALLYPORT_IO_LISTEN: `127.0.0.1:${ports[1]}`,
    SALLYPORT_API_HTTP_LISTEN: `127.0.0.1:${ports[2]}`,
    SALLYPORT_IO_HTTP_LISTEN: `127.0.0.1:${ports[3]}`,
    SALLYPORT_TUNNEL_LISTEN: `127.0.0.1:${ports[4]}`,
    SALLYPORT_TUNNEL_RAW_ADDRESS: rawAddress(ports),
    ...options.env,
  };
  const reap = "/opt/sallyport/native/current/sallyport-reap";
  const main = join(release, "apps/standalone/dist/main.js");
  const child = spawn(reap, ["--", join(release, "bin/node"), main], { env, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-20_000);
    });
  }
  const exited = once(child, "exit");
  const socketPath = join(home, "run/supervisor.sock");
  const status = async () => JSON.parse(await http(socketPath, "GET", "/status")) as PlatformStatus;
  const deadline = Date.now() + START_MS;
  for (;;) {
    try {
      if ((await status()).state === "ready") break;
    } catch {
      // not listening yet
    }
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      child.kill("SIGTERM");
      await Promise.race([exited, sleep(STOP_MS, undefined, { ref: false })]);
      child.kill("SIGKILL");
      throw new Error(`the platform did not start:\n${log}\n${await childLogs(home)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const admin = new AdminServiceClient(
    `unix:${join(home, "run/api/operator/operator.sock")}`,
    credentials.createInsecure(),
  );
  let over: Promise<void> | undefined;
  return {
    home,
    release,
    ports,
    apiUrl: `http://${apiListen}`,
    restUrl: `http://127.0.0.1:${ports[2]}`,
    status,
    logs: async () => `${log}\n${await childLogs(home)}`,
    async createWorkspace(name) {
      const { workspace } = await callUnary(admin, admin.createWorkspace, { name });
      const request = { workspaceName: name, name: "test" };
      const { secret } = await callUnary(admin, admin.createApiToken, request);
      return { token: secret, workspaceId: workspace?.id ?? "" };
    },
    async restart(edge) {
      await http(socketPath, "POST", `/restart/${edge}`);
    },
    async stop() {
      admin.close();
      child.kill("SIGTERM");
      await exited;
    },
    [Symbol.asyncDispose]() {
      over ??= (async () => {
        admin.close();
        if (child.exitCode === null && child.signalCode === null) {
          await http(socketPath, "POST", "/down");
          await exited;
        }
        if (options.home === undefined) await rm(home, { recursive: true, force: true });
      })();
      return over;
    },
  };
}

/** An address of loopback that is this platform's alone: others give out the same raw ports. */
function rawAddress([first]: PlatformPorts): string {
  return `127.1.${first >> 8}.${first & 255}`;
}

/**
 * TCP ports of loopback that are free now, for all that a platform listens at. They lie below those that the kernel gives
 * to outgoing connections: one of these would otherwise keep a part that was killed from its port as long as it lives.
 */
export async function freePorts(): Promise<PlatformPorts> {
  const found = new Set<number>();
  while (found.size < 5) {
    const port = randomInt(FIRST_PORT, END_OF_PORTS);
    if (await isFree(port)) found.add(port);
  }
  const [api = 0, io = 0, apiHttp = 0, ioHttp = 0, edges = 0] = found;
  return [api, io, apiHttp, ioHttp, edges];
}

const FIRST_PORT = 20_000;
/** Linux gives ports from here on to outgoing connections, unless told otherwise (ip_local_port_range). */
const END_OF_PORTS = 32_768;

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false; // somebody else's
  }
  server.close();
  return true;
}

async function childLogs(home: string): Promise<string> {
  const names = ["postgres", "api", "worker", "gateway", "resolver", "connect-proxy", "tunnel-edge"];
  const tails = names.map(async (name) => {
    const text = await readFile(join(home, `log/${name}.log`), "utf8").catch(() => "(none)");
    return `== ${name}\n${text.slice(-3_000)}`;
  });
  return (await Promise.all(tails)).join("\n");
}

function http(socketPath: string, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: START_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => {
        if (response.statusCode !== undefined && response.statusCode < 300) resolve(body);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${body}`));
      });
    });
    call.on("timeout", () => call.destroy(new Error(`${method} ${path}: no answer`)));
    call.on("error", reject);
    call.end();
  });
}
