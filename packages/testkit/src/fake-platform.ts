// The gRPC face of a platform without sandboxes: real protos on real sockets, programs in memory, and every failure a
// client has to bear on command. For tests of SDK and CLI.
import type { EventEmitter } from "node:events";
import { once } from "node:events";
import type { ServerWritableStream, ServiceError, UntypedServiceImplementation } from "@grpc/grpc-js";
import { Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import type { CreateSandboxRequest, IoAccess, ListSandboxesRequest } from "@sallyport/contracts";
import { AUTHORIZATION_KEY, EndReason, SandboxState } from "@sallyport/contracts";
import {
  AdminServiceService,
  AppServiceService,
  SandboxIOService,
  SandboxServiceService,
  WorkspaceServiceService,
} from "@sallyport/contracts/grpc";
import { authorityOf, connectHandlers, FakeConnect } from "./fake-connect.ts";
import type { FakeFailure } from "./fake-failure.ts";
import { wireError } from "./fake-failure.ts";
import { ioHandlers } from "./fake-io.ts";
import { lifeCycleHandlers, usageOf } from "./fake-life-cycle.ts";
import type { TellOptions } from "./fake-output.ts";
import { writeAll } from "./fake-output.ts";
import { FakeSandbox } from "./fake-sandbox.ts";
import { FakeTunnels, tunnelHandlers } from "./fake-tunnels.ts";
import { until } from "./until.ts";

/** A fake platform that listens on free ports of the loopback. */
export class FakePlatform implements AsyncDisposable {
  readonly token = "sp-fake-api-token";
  readonly sandboxes: Map<string, FakeSandbox> = new Map();
  /** Method names in the order of their calls. */
  readonly calls: string[] = [];
  readonly connect: FakeConnect = new FakeConnect();
  readonly tunnels: FakeTunnels = new FakeTunnels();
  /** Where the servers of all sandboxes listen on this machine, by their ports there. */
  readonly servers: Map<number, number> = new Map();
  /** How long SandboxIO tokens are good for, as they say themselves. */
  ioTokenMs = 3_600_000;
  /** Answers of createSandbox wait so long. */
  createDelayMs = 0;
  /** Outputs are sent in pieces of at most so many bytes. */
  maxChunkBytes: number = 64 * 1024;
  /** Every read of an output breaks off with `Unavailable` after so many messages. */
  endReadsAfter: number = Number.POSITIVE_INFINITY;
  /** Named to clients in place of the gateway's own address: a proxy's before it. */
  gatewayAddress: string | undefined;
  /** Calls that were taken up and have not ended. */
  openCalls = 0;
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

  get gatewayPort(): number {
    return this.#ports.gateway;
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
    this.#api.addService(WorkspaceServiceService, {
      getUsage: this.#unary("getUsage", this.#byApiToken, async () => usageOf([...this.sandboxes.values()])),
    });
    this.#api.addService(AdminServiceService, {
      getLocalAuthority: this.#unary("getLocalAuthority", this.#byApiToken, async () => authorityOf(this.connect)),
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
      listSandboxes: handle("listSandboxes", async (request: ListSandboxesRequest) => {
        const wanted = [...this.sandboxes.values()]
          .map((sandbox) => sandbox.view)
          .filter((view) => request.includeEnded || view.state !== SandboxState.ENDED)
          .filter((view) => request.appName === undefined || view.appName === request.appName)
          .filter((view) => request.name === undefined || view.name === request.name)
          .filter((view) => Object.entries(request.tags).every(([key, value]) => view.tags[key] === value));
        const from = Number(request.pageToken === "" ? "0" : request.pageToken);
        // Two to a page, so that a few sandboxes make several.
        const nextPageToken = from + 2 < wanted.length ? String(from + 2) : "";
        return { sandboxes: wanted.slice(from, from + 2), nextPageToken };
      }),
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
      ...lifeCycleHandlers({
        handle,
        find: (id) => this.#find(id),
        all: () => [...this.sandboxes.values()],
        begin: async (method, call) => {
          await this.#begin(method, call);
          this.#byApiToken(call.metadata);
        },
      }),
      ...connectHandlers({ handle, find: (id) => this.#find(id) }, this.connect),
      ...tunnelHandlers({ handle, find: (id) => this.#find(id) }, this.tunnels),
      getIoAccess: handle("getIoAccess", async ({ sandboxId }: { sandboxId: string }) => ({
        ioAccess: this.#grant(this.#find(sandboxId)),
      })),
    };
  }

  #ioService(): UntypedServiceImplementation {
    return ioHandlers({
      handle: (method, work) => this.#unary(method, this.#byIoToken, work),
      tell: (method, call, messages) => this.#tell(method, call, messages),
      begin: async (method, call) => {
        await this.#begin(method, call);
        return this.#byIoToken(call.metadata);
      },
      servers: this.servers,
    });
  }

  #tell<Message>(
    method: string,
    call: ServerWritableStream<unknown, Message>,
    messages: (sandbox: FakeSandbox, options: Omit<TellOptions, "offset" | "follow">) => AsyncIterable<Message>,
  ): void {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort());
    call.sendMetadata(new Metadata());
    const { endReadsAfter, maxChunkBytes } = this;
    const { signal } = gone;
    const work = async () => {
      await this.#begin(method, call);
      const sandbox = this.#byIoToken(call.metadata);
      await writeAll(call, messages(sandbox, { endReadsAfter, maxChunkBytes, signal }), signal);
    };
    this.openCalls += 1;
    const telling = work().finally(() => {
      this.openCalls -= 1;
    });
    telling.then(
      () => call.end(),
      (error: unknown) => call.emit("error", error),
    );
  }

  async #begin(method: string, call: EventEmitter): Promise<void> {
    this.calls.push(method);
    const failure = this.#failures.get(method)?.shift();
    if (failure !== undefined) await this.#fail(failure, call);
  }

  async #fail(failure: FakeFailure, call: EventEmitter): Promise<never> {
    if (failure.instead === "hang") await once(call, "cancelled");
    if (failure.instead === "cut") {
      this.killApi();
      this.killGateway();
      await Promise.all([this.startApi(), this.startGateway()]);
    }
    throw wireError(failure);
  }

  #unary<Q, R>(
    method: string,
    authenticate: (metadata: Metadata) => FakeSandbox | undefined,
    work: (request: Q, sandbox: FakeSandbox | undefined) => Promise<R>,
  ): UntypedServiceImplementation[string] {
    const run = async (call: UnaryCall<Q>): Promise<R> => {
      this.calls.push(method);
      const failure = this.#failures.get(method)?.shift();
      if (failure !== undefined && failure.after !== true) await this.#fail(failure, call);
      const response = await work(call.request, authenticate(call.metadata));
      if (failure !== undefined) await this.#fail(failure, call);
      return response;
    };
    return (call: UnaryCall<Q>, callback: Answer<R>) => {
      call.sendMetadata(new Metadata());
      this.openCalls += 1;
      const answer = run(call).finally(() => {
        this.openCalls -= 1;
      });
      answer.then(
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
    const address = this.gatewayAddress ?? `127.0.0.1:${this.#ports.gateway}`;
    return { address, token, expiresAt, url: `http://${address}` };
  }
}

type UnaryCall<Q> = EventEmitter & { request: Q; metadata: Metadata; sendMetadata(metadata: Metadata): void };

type Answer<R> = (error: ServiceError | null, response?: R) => void;

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}
