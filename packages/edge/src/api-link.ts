// An edge's link to the api: over it routes and keys are followed, certificates asked for, and the processes taken leave of
// that are over.
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { fromGrpcError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { callUnary, EdgeServiceClient } from "@sallyport/contracts/grpc";
import type { RouteProblem, RouteWatch, WatchRoutesOptions } from "@sallyport/dataplane/routes";
import { watchRoutes } from "@sallyport/dataplane/routes";
import { LEAVE_MS } from "./edge-limits.ts";

export interface ApiLinkOptions {
  /** Where the api serves EdgeService. */
  readonly socketPath: string;
  readonly edgeId: string;
  readonly logger: Logger;
}

export interface FollowOptions extends Pick<WatchRoutesOptions, "kind" | "ownGateway" | "ready" | "table"> {
  /** A folder of the edge's own, in which the table is kept. */
  readonly stateDirectory: string;
}

/** An api that comes back is met soon: what has ended or is revoked waits for its edges. */
const RECONNECT = {
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.min_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 1_000,
} as const;

const ROUTE_PROBLEMS: Readonly<Record<RouteProblem, string>> = {
  stored: "the stored routes are damaged; nobody is let into a sandbox until the api is heard",
  watch: "the api's routes cannot be followed; trying again",
  save: "the routes cannot be kept; no revision is acknowledged meanwhile",
  acknowledge: "a revision could not be acknowledged; trying again",
};

/** Disposal closes it. */
export class ApiLink implements Disposable {
  readonly client: EdgeServiceClient;
  readonly edgeId: string;
  readonly #logger: Logger;

  constructor({ edgeId, logger, socketPath }: ApiLinkOptions) {
    this.client = new EdgeServiceClient(`unix:${socketPath}`, credentials.createInsecure(), RECONNECT);
    this.edgeId = edgeId;
    this.#logger = logger;
  }

  /** Loads what is on disk, and follows the api from then on; problems are told to the log. */
  async followRoutes({ stateDirectory, ...options }: FollowOptions): Promise<RouteWatch> {
    return await watchRoutes({
      ...options,
      client: this.client,
      edgeId: this.edgeId,
      path: join(stateDirectory, "routes.jsonl"),
      onProblem: (problem, error) => this.#logger.warn({ problem, err: fromGrpcError(error) }, ROUTE_PROBLEMS[problem]),
    });
  }

  /** Tells the api that another edge is gone for good, and that this one has taken its place. */
  async takeLeaveOf(edgeId: string): Promise<void> {
    const { client, edgeId: successorId } = this;
    await callUnary(client, client.leaveEdge, { edgeId, successorId }, { timeoutMs: LEAVE_MS });
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}
