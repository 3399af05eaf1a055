// A gateway on temporary folders and port 0, with the clients that worker and SDK would be. Inits are reached under
// made-up slot addresses that a replaced dialler maps to local ports.
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo, Server } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { credentials, Metadata } from "@grpc/grpc-js";
import { fromGrpcError, isAppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { createLogger, silentLogger } from "@sallyport/appkit/logger";
import type {
  Exec,
  FileInfo,
  Outcome,
  ReadFileRequest,
  ReadOutputResponse,
  RunExecRequest,
  StartExecRequest,
  WriteFileRequest,
} from "@sallyport/contracts";
import { OutputStream } from "@sallyport/contracts";
import { callServerStream, callUnary, GatewayControlServiceClient, SandboxIOClient } from "@sallyport/contracts/grpc";
import { startGateway } from "../src/app.ts";
import type { GatewayConfig } from "../src/config.ts";
import type { Dial } from "../src/open.ts";
import { dialTcp } from "../src/open.ts";
import type { SpoolBounds } from "../src/processes.ts";
import type { SigningKey } from "./fake-api.ts";
import { FakeApi, makeKey, signToken } from "./fake-api.ts";
import { PROGRAM } from "./real-init.ts";

export const MIB = 1024 * 1024;
const BOUNDS: SpoolBounds = { streamBytes: 64 * MIB, instanceBytes: 1024 * MIB, readerGraceMs: 15_000 };

/** Ids that differ in their last digits. */
export function idOf(prefix: "in" | "sb", number: number): string {
  return `${prefix}-01jz00000000000000${String(number).padStart(8, "0")}`;
}

/** The made-up address of an init. */
export function addressOf(number: number): string {
  return `10.99.0.${number}`;
}

export interface Target {
  readonly number: number;
  readonly port: number;
  readonly secret: Uint8Array;
}

/** A folder with the sockets of one gateway. */
export async function makeConfig(bounds: Partial<SpoolBounds> = {}): Promise<GatewayConfig> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-gateway-"));
  return {
    stateDirectory: directory,
    workerSocket: join(directory, "worker.sock"),
    openSocket: join(directory, "open.sock"),
    apiSocket: join(directory, "api.sock"),
    logLevel: "info",
    bounds: { ...BOUNDS, ...bounds },
    retentionMs: 3_600_000,
    retainedBytes: 1024 * MIB,
  };
}

/** Dials local ports where slots would be. A second port of a slot is a service in the sandbox. */
export function mappedDial(ports: ReadonlyMap<string, number>): Dial {
  return (address, port, timeoutMs, signal) => {
    const mapped = ports.get(`${address}:${port}`) ?? ports.get(address);
    if (mapped === undefined) {
      return Promise.reject(Object.assign(new Error("nobody is there"), { code: "ECONNREFUSED" }));
    }
    return dialTcp("127.0.0.1", mapped, timeoutMs, signal);
  };
}

/** A gateway in this process, with its clients. */
export class Harness implements AsyncDisposable {
  readonly config: GatewayConfig;
  readonly key: SigningKey;
  readonly api: FakeApi;
  readonly ports = new Map<string, number>();
  control: GatewayControlServiceClient;
  #gateway: AsyncDisposable | undefined;
  #logger: Logger | undefined;
  #listener: Server | undefined;
  #ioPort = 0;
  #httpPort = 0;

  private constructor(config: GatewayConfig, key: SigningKey) {
    this.config = config;
    this.key = key;
    this.api = new FakeApi(config.apiSocket, [key]);
    this.control = new GatewayControlServiceClient(`unix:${config.workerSocket}`, credentials.createInsecure());
  }

  static async start(bounds: Partial<SpoolBounds> = {}, logger?: Logger): Promise<Harness> {
    const harness = new Harness(await makeConfig(bounds), await makeKey("k1"));
    harness.#logger = logger;
    await harness.api.start();
    await harness.startGateway();
    return harness;
  }

  get ioPort(): number {
    return this.#ioPort;
  }

  /** Where the same is served over HTTP. */
  get httpPort(): number {
    return this.#httpPort;
  }

  async startGateway(): Promise<void> {
    const [listener, httpListener] = [await listening(), await listening()];
    this.#ioPort = (listener.address() as AddressInfo).port;
    this.#httpPort = (httpListener.address() as AddressInfo).port;
    this.#listener = listener;
    const level = process.env["SALLYPORT_LOG_LEVEL"];
    const logger = this.#logger ?? (level === undefined ? silentLogger : createLogger("gateway", level));
    const dial = mappedDial(this.ports);
    this.#gateway = await startGateway(this.config, {
      logger,
      ioListener: listener,
      httpListener,
      dial,
      initProgram: PROGRAM,
    });
    await eventually("keys", () => existsSync(join(this.config.stateDirectory, "keys.json")));
  }

  /** Stops it as SIGTERM would. */
  async stopGateway(): Promise<void> {
    await this.#gateway?.[Symbol.asyncDispose]();
    this.#gateway = undefined;
    this.#listener?.close();
  }

  /** A token for the sandbox of this number. */
  token(number: number): Promise<string> {
    return signToken(this.key, { sandboxId: idOf("sb", number), instanceId: idOf("in", number) });
  }

  async attach({ number, port, secret }: Target, waitMs = 5_000): Promise<void> {
    this.ports.set(addressOf(number), port);
    await attachInstance(this.control, number, secret, waitMs);
  }

  async open(number: number, env: Record<string, string> = {}): Promise<void> {
    const request = { instanceId: idOf("in", number), env: { PATH: "/usr/bin:/bin", ...env }, workdir: "/" };
    await callUnary(this.control, this.control.openInstance, request);
  }

  /** Attaches and opens, and gives the SDK's view. */
  async ready(target: Target): Promise<IoClient> {
    await this.attach(target);
    await this.open(target.number);
    return await this.io(target.number);
  }

  async detach(number: number): Promise<void> {
    await callUnary(this.control, this.control.detachInstance, { instanceId: idOf("in", number) });
  }

  async io(number: number): Promise<IoClient> {
    const claims = { sandboxId: idOf("sb", number), instanceId: idOf("in", number) };
    return new IoClient(this.#ioPort, await signToken(this.key, claims));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.control.close();
    await this.stopGateway();
    await this.api[Symbol.asyncDispose]();
    await rm(this.config.stateDirectory, { recursive: true, force: true });
  }
}

async function listening(): Promise<Server> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return listener;
}

export async function attachInstance(
  control: GatewayControlServiceClient,
  number: number,
  secret: Uint8Array,
  waitMs: number,
  asleep = false,
): Promise<void> {
  const ids = { instanceId: idOf("in", number), sandboxId: idOf("sb", number), generation: 1 };
  const where = { ipv4: addressOf(number), ipv6: "", initSecret: Buffer.from(secret), waitMs, asleep };
  await callUnary(control, control.attachInstance, { ...ids, ...where });
}

/** What a program of a user's does through the SDK. */
export class IoClient {
  readonly client: SandboxIOClient;
  readonly metadata = new Metadata();

  constructor(port: number, token: string) {
    this.client = new SandboxIOClient(`127.0.0.1:${port}`, credentials.createInsecure());
    this.metadata.set("authorization", `Bearer ${token}`);
  }

  async start(execId: string, argv: string[], more: Partial<StartExecRequest> = {}): Promise<void> {
    const request = { execId, command: { argv }, env: {}, stdin: false, ...more };
    await callUnary(this.client, this.client.startExec, request, this.#options());
  }

  run(execId: string, argv: string[], more: Partial<RunExecRequest> = {}, signal?: AbortSignal) {
    const request = { execId, command: { argv }, env: {}, stdoutOffset: 0, stderrOffset: 0, ...more };
    return callServerStream(this.client, this.client.runExec, request, { ...this.#options(), signal });
  }

  read(
    execId: string,
    options: { offset?: number; follow?: boolean; stream?: OutputStream; signal?: AbortSignal } = {},
  ) {
    const { follow = true, offset = 0, signal, stream = OutputStream.STDOUT } = options;
    const request = { execId, stream, offset, follow };
    return callServerStream(this.client, this.client.readOutput, request, { ...this.#options(), signal });
  }

  /** An output from its first byte to its end. */
  async text(execId: string, stream: OutputStream = OutputStream.STDOUT): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const response of this.read(execId, { stream })) chunks.push(chunkOf(response));
    return Buffer.concat(chunks).toString();
  }

  async wait(execId: string, waitMs = 10_000): Promise<Outcome | undefined> {
    return (await callUnary(this.client, this.client.waitExec, { execId, waitMs }, this.#options())).outcome;
  }

  async write(execId: string, offset: number, data: string | Buffer, end = false, signal?: AbortSignal) {
    const request = { execId, offset, data: Buffer.from(data), end };
    return await callUnary(this.client, this.client.writeInput, request, { ...this.#options(), signal });
  }

  async signal(execId: string, signal: string): Promise<void> {
    await callUnary(this.client, this.client.signalExec, { execId, signal }, this.#options());
  }

  async resize(execId: string, columns: number, rows: number): Promise<void> {
    await callUnary(this.client, this.client.resizeExec, { execId, size: { columns, rows } }, this.#options());
  }

  async execs(): Promise<readonly Exec[]> {
    return (await callUnary(this.client, this.client.listExecs, {}, this.#options())).execs;
  }

  readFile(path: string, request: Partial<ReadFileRequest> = {}, signal?: AbortSignal) {
    const whole = { path, offset: 0, length: undefined, ...request };
    return callServerStream(this.client, this.client.readFile, whole, { ...this.#options(), signal });
  }

  /** The bytes of a file, and that its end was told. */
  async fileBytes(path: string, request: Partial<ReadFileRequest> = {}): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let ended = false;
    for await (const { event } of this.readFile(path, request)) {
      if (event?.$case === "data") chunks.push(event.value);
      ended ||= event?.$case === "end";
    }
    if (!ended) throw new Error("the file's end was not told");
    return Buffer.concat(chunks);
  }

  async writeFile(path: string, data: string | Buffer, more: Partial<WriteFileRequest> = {}, signal?: AbortSignal) {
    const whole = { writeId: randomUUID(), path, offset: 0, data: Buffer.from(data), end: true, ...more };
    const options = { ...this.#options(), signal };
    return (await callUnary(this.client, this.client.writeFile, whole, options)).acceptedOffset;
  }

  async list(path: string): Promise<FileInfo[]> {
    const answers = callServerStream(this.client, this.client.listFiles, { path }, this.#options());
    return (await Array.fromAsync(answers)).flatMap(({ files }) => files);
  }

  async stat(path: string): Promise<FileInfo | undefined> {
    return (await callUnary(this.client, this.client.statFile, { path }, this.#options())).file;
  }

  async mkdir(path: string, recursive = false): Promise<void> {
    await callUnary(this.client, this.client.makeDirectory, { path, recursive }, this.#options());
  }

  async remove(path: string, recursive = false): Promise<void> {
    await callUnary(this.client, this.client.removeFile, { path, recursive }, this.#options());
  }

  close(): void {
    this.client.close();
  }

  #options() {
    return { metadata: this.metadata, timeoutMs: 30_000 };
  }
}

/** The bytes of an answer, none for other events. */
export function chunkOf(response: ReadOutputResponse): Buffer {
  return response.event?.$case === "chunk" ? response.event.value.data : Buffer.alloc(0);
}

/** What a call was refused with, as `Code` or `Code field`. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const known = fromGrpcError(error as ServiceError);
    if (isAppError(known)) return known.field === undefined ? known.code : `${known.code} ${known.field}`;
    return String(known);
  }
  return "no refusal";
}

/** Polls until it is true; fails after a deadline. */
export async function eventually(what: string, check: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
