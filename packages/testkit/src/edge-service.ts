// The api's side of an edge: routes, revocations and keys set by hand on a Unix socket, and certificates on demand.
import { EventEmitter, once } from "node:events";
import { startGrpcServer } from "@sallyport/appkit/grpc-server";
import { silentLogger } from "@sallyport/appkit/logger";
import { everyCallerIs } from "@sallyport/appkit/principals";
import { bindService } from "@sallyport/appkit/service";
import type { RevokedConnectToken, Route, WatchRoutesResponse } from "@sallyport/contracts";
import { EdgeServiceService } from "@sallyport/contracts/grpc";
import type { Authority } from "./certificates.ts";

const HEARTBEAT_MS = 1_000;
const LEAF_MS = 7 * 86_400_000;

interface Change {
  readonly revision: number;
  readonly routes: readonly Route[];
  readonly revoked: readonly RevokedConnectToken[];
  readonly keySet: string | undefined;
}

/** Serves EdgeService. Whatever is told before `start` is in the first snapshot. */
export class FakeEdgeService implements AsyncDisposable {
  readonly platformId: string;
  readonly socketPath: string;
  /** Public JWKs of assertions, as edges published them. */
  readonly assertionKeys: string[] = [];
  /** Hosts that certificates were asked for, in order. */
  readonly certified: string[] = [];
  /** The newest revision that an edge acts on. */
  acknowledged = 0;
  /** Ids of edges that are gone for good. */
  readonly left: string[] = [];
  readonly #authority: Authority;
  readonly #changes: Change[] = [];
  readonly #news = new EventEmitter();
  #server: AsyncDisposable | undefined;

  constructor(options: { platformId: string; socketPath: string; authority: Authority }) {
    this.platformId = options.platformId;
    this.socketPath = options.socketPath;
    this.#authority = options.authority;
    this.#news.setMaxListeners(0);
  }

  /** Begins to serve; also again after `stop`. */
  async start(): Promise<void> {
    this.#server = await startGrpcServer({
      listen: { kind: "unix", path: this.socketPath, mode: 0o600 },
      services: [
        bindService(EdgeServiceService, {
          watchRoutes: ({ sinceRevision }, { signal }) => this.#watch(sinceRevision, signal),
          acknowledgeRoutes: async ({ revision }) => {
            this.acknowledged = Math.max(this.acknowledged, revision);
            this.#news.emit("acknowledged");
            return {};
          },
          leaveEdge: async ({ edgeId }) => {
            this.left.push(edgeId);
            this.#news.emit("left");
            return {};
          },
          publishAssertionKey: async ({ jwk }) => {
            this.assertionKeys.push(jwk);
            this.#news.emit("published");
            return {};
          },
          issueCertificate: async ({ host, publicKey }) => {
            this.certified.push(host);
            const expiresAt = new Date(Date.now() + LEAF_MS);
            const certificatePem = await this.#authority.certify([host], publicKey, expiresAt);
            return { certificatePem, expiresAt };
          },
        }),
      ],
      authenticate: everyCallerIs({ kind: "edge" }),
      logger: silentLogger,
      drainMs: 10,
    });
  }

  /** As an api that is down: streams break, nobody answers at the socket. */
  async stop(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Commits a change as the next revision. */
  tell(change: Partial<Omit<Change, "revision">>): number {
    const revision = this.#changes.length + 1;
    this.#changes.push({ revision, routes: [], revoked: [], keySet: undefined, ...change });
    this.#news.emit("change");
    return revision;
  }

  /** The same, and resolves when an edge acts on it. */
  async tellAll(change: Partial<Omit<Change, "revision">>): Promise<void> {
    await this.settled(this.tell(change));
  }

  /** Resolves when an edge acts on this revision; the newest when unset. */
  async settled(revision: number = this.#changes.length): Promise<void> {
    while (this.acknowledged < revision) await once(this.#news, "acknowledged");
  }

  /** Resolves when an edge has published a key for assertions. */
  async published(): Promise<void> {
    while (this.assertionKeys.length === 0) await once(this.#news, "published");
  }

  async *#watch(sinceRevision: number, signal: AbortSignal): AsyncGenerator<WatchRoutesResponse> {
    let known = sinceRevision;
    let reset = known === 0 || known > this.#changes.length;
    if (reset) known = 0;
    for (;;) {
      const newer = this.#changes.slice(known);
      known = this.#changes.length;
      yield {
        platformId: this.platformId,
        revision: known,
        reset,
        complete: true,
        routes: newer.flatMap(({ routes }) => routes),
        revoked: newer.flatMap(({ revoked }) => revoked),
        keySet: newer.findLast(({ keySet }) => keySet !== undefined)?.keySet,
      };
      reset = false;
      if (known === this.#changes.length) await this.#change(signal);
    }
  }

  /** The next change, or the time of a heartbeat. Rejects when the caller has gone. */
  async #change(signal: AbortSignal): Promise<void> {
    const beat = AbortSignal.timeout(HEARTBEAT_MS);
    try {
      await once(this.#news, "change", { signal: AbortSignal.any([signal, beat]) });
    } catch (error) {
      if (!beat.aborted || signal.aborted) throw error;
    }
  }
}
