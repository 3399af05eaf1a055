// The real api as a child process, so that it can be killed, and shares nothing with another but its database and files.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { callUnary, SandboxServiceClient } from "@sallyport/contracts/grpc";
import type { ApiConfig } from "../src/config.ts";
import { bearer, createRequest, eventually } from "./fixtures.ts";

/** The real program as a child process, to be killed. */
export class KilledApi implements AsyncDisposable {
  readonly #config: ApiConfig;
  #child: ChildProcess | undefined;
  #port = 0;

  constructor(config: ApiConfig) {
    this.#config = config;
  }

  async start(): Promise<void> {
    const { database, stateDir, operatorSocket, workerSocket, gatewaySocket, edgeSocket, platformId } = this.#config;
    if (database.kind !== "socket") throw new Error("tests use a socket");
    const env = {
      PATH: process.env["PATH"],
      SALLYPORT_DB_SOCKET_DIR: database.socketDir,
      SALLYPORT_DB_NAME: database.name,
      SALLYPORT_DB_USER: database.user,
      SALLYPORT_API_LISTEN: "127.0.0.1:0",
      SALLYPORT_API_HTTP_LISTEN: "127.0.0.1:0",
      SALLYPORT_API_STATE: stateDir,
      SALLYPORT_OPERATOR_SOCKET: operatorSocket,
      SALLYPORT_WORKER_SOCKET: workerSocket,
      SALLYPORT_GATEWAY_SOCKET: gatewaySocket,
      SALLYPORT_EDGE_SOCKET: edgeSocket,
      SALLYPORT_PLATFORM_ID: platformId,
    };
    const main = join(import.meta.dirname, "../src/main.ts");
    const child = spawn(process.execPath, ["--conditions=@sallyport/source", main], {
      env,
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    });
    this.#child = child;
    let log = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
    });
    await once(child, "message");
    this.#port = await eventually("the port", () => {
      const port = /"port":(\d+)/.exec(log)?.[1];
      return port === undefined ? undefined : Number(port);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  async create(token: string, idempotencyKey: string): Promise<string> {
    const client = new SandboxServiceClient(`127.0.0.1:${this.#port}`, credentials.createInsecure());
    try {
      const options = { metadata: bearer(token), timeoutMs: 10_000 };
      const answer = await callUnary(client, client.createSandbox, createRequest({ idempotencyKey }), options);
      return answer.sandbox?.id ?? "";
    } finally {
      client.close();
    }
  }
}
