// A gateway as a child process with one real init, supervised as in earnest: to be killed, restarted and measured.
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { credentials } from "@grpc/grpc-js";
import { callUnary, GatewayControlServiceClient } from "@sallyport/contracts/grpc";
import type { GatewayConfig } from "../src/config.ts";
import { FakeApi, makeKey, signToken } from "./fake-api.ts";
import { addressOf, attachInstance, eventually, IoClient, idOf, makeConfig } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { startRealInit } from "./real-init.ts";

const PROGRAM = fileURLToPath(new URL("gateway-process.ts", import.meta.url));

export class ChildGateway implements AsyncDisposable {
  readonly control: GatewayControlServiceClient;
  readonly #config: GatewayConfig;
  readonly #api: FakeApi;
  readonly #init: RealInit;
  #io: IoClient | undefined;
  #ioPort = 0;
  #child: ChildProcess | undefined;

  private constructor(config: GatewayConfig, api: FakeApi, init: RealInit) {
    this.#config = config;
    this.#api = api;
    this.#init = init;
    this.control = new GatewayControlServiceClient(`unix:${config.workerSocket}`, credentials.createInsecure());
  }

  /** With instance 1 attached and open. */
  static async start(): Promise<ChildGateway> {
    const config = await makeConfig();
    const key = await makeKey("k1");
    const api = new FakeApi(config.apiSocket, [key]);
    await api.start();
    const gateway = new ChildGateway(config, api, await startRealInit());
    await gateway.fork();
    const claims = { sandboxId: idOf("sb", 1), instanceId: idOf("in", 1) };
    gateway.#io = new IoClient(gateway.#ioPort, await signToken(key, claims));
    await gateway.makeReady();
    return gateway;
  }

  get io(): IoClient {
    if (this.#io === undefined) throw new Error("not started");
    return this.#io;
  }

  /** Memory of the gateway's process that is in use. */
  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]) * 1_024;
  }

  /** As the supervisor does: makes the listening socket and hands it over. */
  async fork(): Promise<void> {
    const listener = createServer((early) => early.destroy());
    listener.listen(this.#ioPort, "127.0.0.1");
    await once(listener, "listening");
    this.#ioPort = (listener.address() as AddressInfo).port;
    const ports = JSON.stringify([[addressOf(1), this.#init.port]]);
    const env = { ...process.env, TEST_CONFIG: JSON.stringify(this.#config), TEST_PORTS: ports };
    const child = fork(PROGRAM, { env, execArgv: ["--conditions=@sallyport/source"], stdio: "inherit" });
    this.#child = child;
    child.send({ type: "listener", name: "io" }, listener, () => listener.close());
    const exited = once(child, "exit").then(() => ["it exited"]);
    const [message] = (await Promise.race([once(child, "message"), exited])) as [{ type?: string }];
    if (message.type !== "ready") throw new Error("the gateway did not start");
  }

  /** What the worker does after a restart of the gateway. */
  async makeReady(): Promise<void> {
    const attached = async () => await succeeds(attachInstance(this.control, 1, this.#init.secret, 5_000));
    await eventually("the attachment", attached, 15_000);
    const base = { instanceId: idOf("in", 1), env: { PATH: "/usr/bin:/bin" }, workdir: "/" };
    await callUnary(this.control, this.control.openInstance, base);
    await eventually("the keys", async () => await succeeds(this.io.start("ready", ["true"])), 15_000);
  }

  /** The same for an instance that is frozen: its init is met later. */
  async makeReadyAsleep(): Promise<void> {
    const attached = async () => await succeeds(attachInstance(this.control, 1, this.#init.secret, 5_000, true));
    await eventually("the attachment", attached, 15_000);
    const base = { instanceId: idOf("in", 1), env: { PATH: "/usr/bin:/bin" }, workdir: "/" };
    await callUnary(this.control, this.control.openInstance, base);
  }

  /** As the freezer does. */
  stopInit(): void {
    process.kill(this.#init.pid, "SIGSTOP");
  }

  continueInit(): void {
    process.kill(this.#init.pid, "SIGCONT");
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.fork();
    await this.makeReady();
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#io?.close();
    this.control.close();
    await this.kill();
    await this.#init[Symbol.asyncDispose]();
    await this.#api[Symbol.asyncDispose]();
    await rm(this.#config.stateDirectory, { recursive: true, force: true });
  }
}

/** Whether a call went well: it is asked again until a deadline. */
export async function succeeds(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch {
    return false; // the one who asks has a deadline
  }
}
