// The gRPC face of a platform without sandboxes: real protos on real sockets, programs in memory, and every failure a
// client has to bear on command. For tests of SDK and CLI.
import { once } from "node:events";
import type { ServerWritableStream, ServiceError, UntypedServiceImplementation } from "@grpc/grpc-js";
import { Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import type {
  CreateSandboxRequest,
  ErrorCode,
  IoAccess,
  ReadOutputRequest,
  ReadOutputResponse,
  Sandbox,
} from "@sallyport/contracts";
import {
  AUTHORIZATION_KEY,
  ENTRYPOINT_EXEC_ID,
  EndReason,
  ERROR_CODES,
  encodeStatusDetails,
  OutputStream,
  SandboxState,
  STATUS_DETAILS_KEY,
} from "@sallyport/contracts";
import { AppServiceService, SandboxIOService, SandboxServiceService } from "@sallyport/contracts/grpc";
import { FakeProcess, PROGRAMS } from "./fake-process.ts";

/** What a method is made to do instead of its work. */
export interface FakeFailure {
  readonly code: ErrorCode;
  readonly field?: string;
  readonly retryAfterMs?: number;
  /** The work is done first, and only the answer is lost. */
  readonly after?: boolean;
}

/** A sandbox of the fake platform. */
export class FakeSandbox {
  readonly processes: Map<string, FakeProcess> = new Map();
  readonly view: Sandbox;
  readonly request: CreateSandboxRequest;
  readonly ioTokens: Set<string> = new Set();

  constructor(id: string, request: CreateSandboxRequest) {
    this.request = request;
    this.view = {
      id,
      appId: "ap-00000000000000000000000001",
      appName: request.appName ?? "default",
      image: request.image ?? "default",
      state: SandboxState.RUNNING,
      createdAt: new Date(),
      startedAt: new Date(),
      cpuMillis: request.cpuMillis ?? 1_000,
      memoryMib: request.memoryMib ?? 512,
      lifetimeMs: request.lifetimeMs ?? 3_600_000,
      command: request.command,
      network: request.network ?? { mode: { $case: "open", value: {} } },
      unreachable: false,
    };
    if (request.command === undefined) return;
    const entrypoint = new FakeProcess(request.command.argv, request.env, true);
    this.processes.set(ENTRYPOINT_EXEC_ID, entrypoint);
    const follow = () => {
      if (entrypoint.outcome !== undefined) this.end(entrypoint.outcome);
    };
    entrypoint.on("change", follow);
    follow();
  }

  end(outcome: NonNullable<Sandbox["outcome"]>): void {
    if (this.view.state === SandboxState.ENDED) return;
    this.view.state = SandboxState.ENDED;
    this.view.outcome = outcome;
    this.view.endedAt = new Date();
    for (const process of this.processes.values()) process.end({ reason: EndReason.TERMINATED, exitCode: 137 });
  }
}

/** A fake platform that listens on free ports of the loopback. */
export class FakePlatform implements AsyncDisposable {
  readonly token = "sp-fake-api-token";
  readonly sandboxes: Map<string, FakeSandbox> = new Map();
  /** Method names in the order of their calls. */
  readonly calls: string[] = [];
  /** How long SandboxIO tokens are good for, as they say themselves. */
  ioTokenMs = 3_600_000;
  /** Answers of createSandbox wait so long. */
  createDelayMs = 0;
  #ports = { api: 0, gateway: 0 };
  readonly #byKey = new Map<string, FakeSandbox>();
  readonly #failures = new Map<string, FakeFailure[]>();
  #api: Server | undefined;
  #gateway: Server | undefined;
  #serial = 0;

  static async start(): Promise<FakePlatform> {
    const platform = new FakePlatform();
    await platform.startApi();
    await platform.startGateway();
    return platform;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.#ports.api}`;
  }

  /** The next calls of a method fail. */
  fail(method: string, ...failures: FakeFailure[]): void {
    this.#failures.set(method, [...(this.#failures.get(method) ?? []), ...failures]);
  }

  /** Every SandboxIO token given so far is refused from now on. */
  revokeIoTokens(): void {
    for (const sandbox of this.sandboxes.values()) sandbox.ioTokens.clear();
  }

  async startApi(): Promise<void> {
    this.#api = new Server();
    this.#api.addService(SandboxServiceService, this.#sandboxService());
    this.#api.addService(AppServiceService, {
      lookupApp: this.#unary(
        "lookupApp",
        this.#byApiToken,
        async (request: { name: string; createIfMissing: boolean }) => {
          if (request.name === "missing" && !request.createIfMissing)
            throw wireError({ code: "NotFound", field: "name" });
          return { app: { id: "ap-00000000000000000000000001", name: request.name } };
        },
      ),
    });
    this.#ports.api = await listen(this.#api, this.#ports.api);
  }

  async startGateway(): Promise<void> {
    this.#gateway = new Server();
    this.#gateway.addService(SandboxIOService, this.#ioService());
    this.#ports.gateway = await listen(this.#gateway, this.#ports.gateway);
  }

  /** As kill -9 does: connections are cut. */
  killApi(): void {
    this.#api?.forceShutdown();
    this.#api = undefined;
  }

  /** As kill -9 does: connections are cut; processes and their output stay. */
  killGateway(): void {
    this.#gateway?.forceShutdown();
    this.#gateway = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.killApi();
    this.killGateway();
    for (const sandbox of this.sandboxes.values()) sandbox.end({ reason: EndReason.TERMINATED, exitCode: 137 });
  }

  readonly #byApiToken = (metadata: Metadata): FakeSandbox | undefined => {
    if (metadata.get(AUTHORIZATION_KEY)[0] !== `Bearer ${this.token}`) throw wireError({ code: "Unauthenticated" });
    return undefined;
  };

  readonly #byIoToken = (metadata: Metadata): FakeSandbox => {
    const given = String(metadata.get(AUTHORIZATION_KEY)[0]).replace("Bearer ", "");
    for (const sandbox of this.sandboxes.values()) {
      if (sandbox.ioTokens.has(given)) return sandbox;
    }
    throw wireError({ code: "Unauthenticated" });
  };

  #sandboxService(): UntypedServiceImplementation {
    const handle = <Q, R>(method: string, work: (request: Q) => Promise<R>) =>
      this.#unary(method, this.#byApiToken, work);
    return {
      createSandbox: handle("createSandbox", async (request: CreateSandboxRequest) => {
        if (request.command?.argv.length === 0) throw wireError({ code: "InvalidArgument", field: "command" });
        let sandbox = this.#byKey.get(request.idempotencyKey);
        if (sandbox === undefined) {
          sandbox = new FakeSandbox(`sb-${String(++this.#serial).padStart(26, "0")}`, request);
          this.#byKey.set(request.idempotencyKey, sandbox);
          this.sandboxes.set(sandbox.view.id, sandbox);
        }
        if (this.createDelayMs > 0 && request.waitMs > 0)
          await new Promise((done) => setTimeout(done, this.createDelayMs));
        return { sandbox: sandbox.view, ioAccess: this.#grant(sandbox) };
      }),
      getSandbox: handle("getSandbox", async ({ sandboxId }: { sandboxId: string }) => ({
        sandbox: this.#find(sandboxId).view,
      })),
      listSandboxes: handle(
        "listSandboxes",
        async (request: { pageToken: string; includeEnded: boolean; appName?: string }) => {
          const wanted = [...this.sandboxes.values()]
            .map((sandbox) => sandbox.view)
            .filter((view) => request.includeEnded || view.state !== SandboxState.ENDED)
            .filter((view) => request.appName === undefined || view.appName === request.appName);
          const from = Number(request.pageToken === "" ? "0" : request.pageToken);
          // Two to a page, so that a few sandboxes make several.
          const nextPageToken = from + 2 < wanted.length ? String(from + 2) : "";
          return { sandboxes: wanted.slice(from, from + 2), nextPageToken };
        },
      ),
      waitSandbox: handle("waitSandbox", async ({ sandboxId, waitMs }: { sandboxId: string; waitMs: number }) => {
        const sandbox = this.#find(sandboxId);
        await until(() => sandbox.view.state === SandboxState.ENDED, waitMs);
        return { sandbox: sandbox.view };
      }),
      terminateSandbox: handle("terminateSandbox", async ({ sandboxId }: { sandboxId: string }) => {
        const sandbox = this.#find(sandboxId);
        sandbox.end({ reason: EndReason.TERMINATED, exitCode: 137 });
        return { sandbox: sandbox.view };
      }),
      getIoAccess: handle("getIoAccess", async ({ sandboxId }: { sandboxId: string }) => ({
        ioAccess: this.#grant(this.#find(sandboxId)),
      })),
    };
  }

  #ioService(): UntypedServiceImplementation {
    const handle = <Q extends { execId: string }, R>(
      method: string,
      work: (request: Q, sandbox: FakeSandbox) => Promise<R>,
    ) => this.#unary(method, this.#byIoToken, work as (request: Q, sandbox: FakeSandbox | undefined) => Promise<R>);
    return {
      startExec: handle("startExec", async (request: StartExec, sandbox) => {
        if (sandbox.processes.has(request.execId)) return {};
        if (sandbox.view.state === SandboxState.ENDED) throw wireError({ code: "SandboxEnded" });
        const argv = request.command?.argv ?? [];
        if (PROGRAMS[argv[0] ?? ""] === undefined) throw wireError({ code: "InvalidArgument", field: "command" });
        const env = { ...sandbox.request.env, ...request.env };
        sandbox.processes.set(request.execId, new FakeProcess(argv, env, request.stdin));
        return {};
      }),
      readOutput: (call: ServerWritableStream<ReadOutputRequest, ReadOutputResponse>) => {
        this.#readOutput(call).then(
          () => call.end(),
          (error: unknown) => call.emit("error", error),
        );
      },
      writeInput: handle(
        "writeInput",
        async (request: { execId: string; offset: number; data: Buffer; end: boolean }, sandbox) => {
          const process = processOf(sandbox, request.execId);
          process.take(request.offset, request.data, request.end);
          return { acceptedOffset: process.input.length, closed: process.outcome !== undefined };
        },
      ),
      waitExec: handle("waitExec", async (request: { execId: string; waitMs: number }, sandbox) => {
        const process = processOf(sandbox, request.execId);
        await until(() => process.outcome !== undefined, request.waitMs);
        return { outcome: process.outcome };
      }),
      signalExec: handle("signalExec", async (request: { execId: string; signal: string }, sandbox) => {
        processOf(sandbox, request.execId).signal(request.signal);
        return {};
      }),
      resizeExec: handle(
        "resizeExec",
        async (request: { execId: string; size: { columns: number; rows: number } }, sandbox) => {
          processOf(sandbox, request.execId).sizes.push(request.size);
          return {};
        },
      ),
    };
  }

  async #readOutput(call: ServerWritableStream<ReadOutputRequest, ReadOutputResponse>): Promise<void> {
    this.calls.push("readOutput");
    call.sendMetadata(new Metadata());
    const failure = this.#failures.get("readOutput")?.shift();
    if (failure !== undefined) throw wireError(failure);
    const process = processOf(this.#byIoToken(call.metadata), call.request.execId);
    const output = call.request.stream === OutputStream.STDOUT ? process.stdout : process.stderr;
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort());
    let { offset } = call.request;
    if (offset < output.start) {
      offset = output.start;
      call.write({ event: { $case: "gap", value: { offset } } });
    }
    while (!gone.signal.aborted) {
      if (offset < output.length) {
        const data = output.slice(offset, offset + 64 * 1024);
        const sent = call.write({ event: { $case: "chunk", value: { offset, data } } });
        offset += data.length;
        if (!sent) await once(call, "drain", { signal: gone.signal });
      } else if (output.ended) {
        call.write({ event: { $case: "end", value: { offset } } });
        return;
      } else if (call.request.follow) {
        await once(output, "change", { signal: gone.signal });
      } else {
        return;
      }
    }
  }

  #unary<Q, R>(
    method: string,
    authenticate: (metadata: Metadata) => FakeSandbox | undefined,
    work: (request: Q, sandbox: FakeSandbox | undefined) => Promise<R>,
  ): UntypedServiceImplementation[string] {
    const run = async (call: { request: Q; metadata: Metadata }): Promise<R> => {
      this.calls.push(method);
      const failure = this.#failures.get(method)?.shift();
      if (failure !== undefined && failure.after !== true) throw wireError(failure);
      const response = await work(call.request, authenticate(call.metadata));
      if (failure !== undefined) throw wireError(failure);
      return response;
    };
    return (call: { request: Q; metadata: Metadata; sendMetadata(metadata: Metadata): void }, callback: Answer<R>) => {
      call.sendMetadata(new Metadata());
      run(call).then(
        (response) => callback(null, response),
        (error: unknown) => callback(error as ServiceError),
      );
    };
  }

  #find(id: string): FakeSandbox {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined) throw wireError({ code: "NotFound", field: "sandbox_id" });
    return sandbox;
  }

  #grant(sandbox: FakeSandbox): IoAccess {
    const token = `io-${++this.#serial}`;
    sandbox.ioTokens.add(token);
    const expiresAt = new Date(Date.now() + this.ioTokenMs);
    return { address: `127.0.0.1:${this.#ports.gateway}`, token, expiresAt };
  }
}

interface StartExec {
  readonly execId: string;
  readonly command?: { argv: string[] };
  readonly env: Record<string, string>;
  readonly stdin: boolean;
}

type Answer<R> = (error: ServiceError | null, response?: R) => void;

function processOf(sandbox: FakeSandbox, execId: string): FakeProcess {
  const process = sandbox.processes.get(execId);
  if (process === undefined) throw wireError({ code: "NotFound", field: "exec_id" });
  return process;
}

function wireError(failure: FakeFailure): ServiceError {
  const { code, field, retryAfterMs } = failure;
  const message = field === undefined ? `the fake platform says ${code}` : `${field}: the fake platform says ${code}`;
  const metadata = new Metadata();
  const detail = { code, field, retryAfterMs, requestId: "fake-request", retryable: ERROR_CODES[code].retryable };
  metadata.set(STATUS_DETAILS_KEY, encodeStatusDetails(message, detail));
  return Object.assign(new Error(message), { code: ERROR_CODES[code].grpc, details: message, metadata });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}

async function until(condition: () => boolean, ms: number): Promise<void> {
  const endsAt = Date.now() + ms;
  while (!condition() && Date.now() < endsAt) await new Promise((resolve) => setTimeout(resolve, 5));
}
