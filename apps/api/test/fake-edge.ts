// An edge that serves nobody: a real client of EdgeService that follows the routes, and acknowledges them unless told not to.
import { credentials } from "@grpc/grpc-js";
import type { Route, WatchRoutesResponse } from "@sallyport/contracts";
import { EdgeKind } from "@sallyport/contracts";
import { callServerStream, callUnary, EdgeServiceClient } from "@sallyport/contracts/grpc";
import type { TestApi } from "./fixtures.ts";
import { eventually } from "./fixtures.ts";

export interface FakeEdgeOptions {
  readonly id: string;
  /** CONNECT when unset. */
  readonly kind?: EdgeKind;
  /** What it has from before. */
  readonly since?: number;
  readonly routes?: ReadonlyMap<string, Route>;
}

export class FakeEdge implements AsyncDisposable {
  readonly client: EdgeServiceClient;
  readonly id: string;
  readonly messages: WatchRoutesResponse[] = [];
  readonly routes: Map<string, Route>;
  readonly revoked = new Set<string>();
  /** As it came last, JSON. */
  keySet: string | undefined;
  revision: number;
  /** Set false, it reads and says nothing. */
  acknowledges = true;
  /** How the stream ended, once it has. */
  ended: unknown;
  ackError: unknown;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(api: Pick<TestApi, "config">, options: FakeEdgeOptions) {
    this.client = new EdgeServiceClient(`unix:${api.config.edgeSocket}`, credentials.createInsecure());
    this.id = options.id;
    this.revision = options.since ?? 0;
    this.routes = new Map(options.routes);
    this.#running = this.#run(options.kind ?? EdgeKind.CONNECT);
  }

  async #run(kind: EdgeKind): Promise<void> {
    const request = { edgeId: this.id, kind, sinceRevision: this.revision };
    const { signal } = this.#stop;
    try {
      const pending: WatchRoutesResponse[] = [];
      for await (const message of callServerStream(this.client, this.client.watchRoutes, request, { signal })) {
        this.messages.push(message);
        pending.push(message);
        if (!message.complete) continue;
        for (const part of pending.splice(0)) this.#apply(part);
        if (this.acknowledges) await this.acknowledge(message.revision);
      }
      this.ended = "well";
    } catch (error) {
      this.ended = error;
    }
  }

  #apply(part: WatchRoutesResponse): void {
    if (part.reset) {
      this.routes.clear();
      this.revoked.clear();
    }
    for (const route of part.routes) this.routes.set(route.sandboxId, route);
    for (const { tokenId } of part.revoked) this.revoked.add(tokenId);
    this.keySet = part.keySet ?? this.keySet;
    this.revision = part.revision;
  }

  async acknowledge(revision: number): Promise<void> {
    try {
      await callUnary(this.client, this.client.acknowledgeRoutes, { edgeId: this.id, revision });
    } catch (error) {
      this.ackError = error;
    }
  }

  /** Resolves once it has all of a first snapshot. */
  async ready(): Promise<this> {
    const isThere = () => this.ended !== undefined || this.messages.some((message) => message.complete);
    await eventually("a first snapshot", () => (isThere() ? true : undefined));
    if (this.ended !== undefined) throw new Error("the stream ended", { cause: this.ended });
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the test is over"));
    await this.#running;
    this.client.close();
  }
}
