// The api's side of WatchRoutes as tests want it: a real gRPC server at a Unix socket that tells what it is told to tell,
// and keeps what edges acknowledge.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerWritableStream, ServiceDefinition } from "@grpc/grpc-js";
import { credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import type { WatchRoutesRequest, WatchRoutesResponse } from "@sallyport/contracts";
import type { EdgeServiceServer } from "@sallyport/contracts/grpc";
import { EdgeServiceClient, EdgeServiceService } from "@sallyport/contracts/grpc";

export const PLATFORM = "01jd00000000000000000000aa";

type Stream = ServerWritableStream<WatchRoutesRequest, WatchRoutesResponse>;

export class EdgeService implements AsyncDisposable {
  readonly directory: string;
  readonly client: EdgeServiceClient;
  readonly acknowledged: number[] = [];
  /** What each stream asked for, oldest first. */
  readonly asked: WatchRoutesRequest[] = [];
  #server: Server | undefined;
  #streams: Stream[] = [];
  /** Of streams that nobody has waited for yet, and of those who wait. */
  readonly #news: Stream[] = [];
  readonly #waiting: ((stream: Stream) => void)[] = [];

  private constructor(directory: string) {
    this.directory = directory;
    this.client = new EdgeServiceClient(`unix:${this.#socket}`, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 20,
      "grpc.min_reconnect_backoff_ms": 20,
      "grpc.max_reconnect_backoff_ms": 50,
    });
  }

  static async start(): Promise<EdgeService> {
    const service = new EdgeService(await mkdtemp(join(tmpdir(), "edge-")));
    await service.listen();
    return service;
  }

  get #socket(): string {
    return join(this.directory, "edge.sock");
  }

  async listen(): Promise<void> {
    const server = new Server();
    const handlers: EdgeServiceServer = {
      watchRoutes: (stream) => {
        this.asked.push(stream.request);
        this.#streams.push(stream);
        const next = this.#waiting.shift();
        if (next === undefined) this.#news.push(stream);
        else next(stream);
      },
      acknowledgeRoutes: (call, answer) => {
        this.acknowledged.push(call.request.revision);
        answer(null, {});
      },
      leaveEdge: (_call, answer) => answer(null, {}),
      publishAssertionKey: (_call, answer) => answer(null, {}),
      issueCertificate: (_call, answer) => answer(null, { certificatePem: "" }),
    };
    server.addService(EdgeServiceService as unknown as ServiceDefinition, { ...handlers });
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${this.#socket}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    this.#server = server;
  }

  /** The next stream that an edge opens. */
  stream(): Promise<Stream> {
    const known = this.#news.shift();
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Tells every edge that listens. */
  tell(part: Partial<WatchRoutesResponse>): void {
    const whole = { platformId: PLATFORM, revision: 0, reset: false, complete: true, routes: [], revoked: [] };
    for (const stream of this.#streams) stream.write({ ...whole, ...part });
  }

  /** As if the api were killed. */
  async stop(): Promise<void> {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#streams = [];
    await rm(this.#socket, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.client.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}
