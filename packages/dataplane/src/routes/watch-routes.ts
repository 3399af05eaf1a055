// Keeps a route table true: what is on disk first, then what the api tells, for as long as this edge lives. With the api
// out of reach the table stays as it was; nothing that is known is forgotten but by time.
import { Backoff } from "@sallyport/appkit/retry";
import type { EdgeKind } from "@sallyport/contracts";
import type { EdgeServiceClient } from "@sallyport/contracts/grpc";
import { callServerStream } from "@sallyport/contracts/grpc";
import { Acknowledger } from "./acknowledger.ts";
import type { RouteChange, ToldPart } from "./change.ts";
import { parsePart } from "./change.ts";
import { MAX_PARTS, SILENT_API_MS, SWEEP_MS } from "./limits.ts";
import { RouteJournal } from "./route-journal.ts";
import type { RouteTable } from "./route-table.ts";

/** What went wrong; everything else goes on. */
export type RouteProblem =
  /** What is on disk is damaged: every token is refused until the api is heard. */
  | "stored"
  /** The api cannot be followed; it is tried again. */
  | "watch"
  /** The table cannot be kept on disk; no revision is acknowledged meanwhile. */
  | "save"
  | "acknowledge";

export interface WatchRoutesOptions {
  readonly table: RouteTable;
  readonly client: EdgeServiceClient;
  /** The edge's own name for itself, kept over restarts. */
  readonly edgeId: string;
  /** What the edge serves. */
  readonly kind: EdgeKind;
  /** The gateway of routes that name none: the path of its socket. */
  readonly ownGateway: string;
  /** Where the table is kept; its folder is the edge's own. */
  readonly path: string;
  /** Told once of what goes on failing in the same way. */
  readonly onProblem: (problem: RouteProblem, error: unknown) => void;
  /**
   * Resolves when the edge acts on all that the table has been told so far, as far as it can: no revision is acknowledged
   * earlier. At once when unset.
   */
  readonly ready?: (() => Promise<void>) | undefined;
  /** {@link SILENT_API_MS} when unset. */
  readonly silentApiMs?: number | undefined;
}

/** Disposal stops following, and leaves the table as it is. */
export interface RouteWatch extends AsyncDisposable {
  /** Milliseconds since the api was last heard; infinite when it never was. */
  readonly silentMs: number;
  /** Resolved once this edge has everything that the api knew, and keeps it: nothing is acknowledged without it any more. */
  readonly caughtUp: Promise<void>;
}

/** Loads what is on disk, and follows the api from then on. Rejects for nothing that either of them holds. */
export async function watchRoutes(options: WatchRoutesOptions): Promise<RouteWatch> {
  const watch = new Watch(options);
  await watch.load();
  watch.start();
  return watch;
}

class Watch implements RouteWatch {
  readonly #options: WatchRoutesOptions;
  readonly #journal: RouteJournal;
  readonly #stop = new AbortController();
  readonly #acknowledger: Acknowledger;
  readonly #backoff = new Backoff({ firstMs: 50, maxMs: 1_000 });
  /** What was told since a step was last taken, by what failed. */
  readonly #told = new Map<RouteProblem, string>();
  readonly #caughtUp = Promise.withResolvers<void>();
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #following: Promise<void> = Promise.resolve();

  constructor(options: WatchRoutesOptions) {
    const { client, edgeId, path, ready, table } = options;
    this.#options = options;
    this.#journal = new RouteJournal({ path, platformId: table.platformId, snapshot: () => table.snapshot() });
    this.#acknowledger = new Acknowledger({
      client,
      edgeId,
      ready,
      onProblem: (error) => this.#report("acknowledge", error),
      signal: this.#stop.signal,
    });
  }

  get silentMs(): number {
    return performance.now() - this.#heardAtMs;
  }

  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  async load(): Promise<void> {
    const { table } = this.#options;
    try {
      for (const change of this.#journal.read()) await table.apply(change);
    } catch (error) {
      // Something is missing, perhaps a revocation: nothing counts, no key either, until the api has told all of it.
      await table.apply({ revision: 0, reset: true, routes: [], revoked: [] });
      this.#report("stored", error);
    }
  }

  start(): void {
    this.#following = this.#followForever();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the edge is stopping"));
    await this.#following;
    await this.#acknowledger.settled();
    this.#journal[Symbol.dispose]();
  }

  async #followForever(): Promise<void> {
    const { table } = this.#options;
    const { signal } = this.#stop;
    const sweep = setInterval(() => table.forgetWhatIsOver(), SWEEP_MS);
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (!signal.aborted) this.#report("watch", error);
      }
      await this.#backoff.pauseOrAbort(signal);
    }
    clearInterval(sweep);
  }

  /** One stream, until it ends. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { client, edgeId, kind, ownGateway, silentApiMs = SILENT_API_MS, table } = this.#options;
    const silent = new AbortController();
    const timer = setTimeout(() => silent.abort(new Error("the api is silent")), silentApiMs);
    const request = { edgeId, kind, sinceRevision: table.revision };
    const either = AbortSignal.any([signal, silent.signal]);
    const parts = new Parts(table.platformId);
    try {
      for await (const response of callServerStream(client, client.watchRoutes, request, { signal: either })) {
        timer.refresh();
        const change = parts.add(parsePart(response, ownGateway));
        this.#heardAtMs = performance.now();
        if (change !== undefined) await this.#take(change);
      }
      throw new Error("the api ended the stream of routes");
    } finally {
      clearTimeout(timer);
    }
  }

  async #take(change: RouteChange): Promise<void> {
    await this.#options.table.apply(change);
    this.#backoff.reset();
    this.#told.delete("watch");
    try {
      this.#journal.save(isHeartbeat(change) ? undefined : change);
    } catch (error) {
      this.#report("save", error);
      return; // what a restart would forget is not acknowledged
    }
    this.#told.delete("save");
    this.#acknowledger.tell(change.revision);
    if (isHeartbeat(change)) this.#caughtUp.resolve();
  }

  #report(problem: RouteProblem, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (this.#told.get(problem) === text) return;
    this.#told.set(problem, text);
    this.#options.onProblem(problem, error);
  }
}

/** Joins parts to steps. */
class Parts {
  readonly #platformId: string;
  #open: ToldPart[] = [];

  constructor(platformId: string) {
    this.#platformId = platformId;
  }

  /** The step that this part completes. Throws for parts that do not belong together. */
  add(part: ToldPart): RouteChange | undefined {
    if (part.platformId !== this.#platformId) throw new Error("the api is of another platform than this edge");
    if (part.reset && this.#open.length > 0) throw new Error("the api begins anew in the middle of a step");
    this.#open.push(part);
    if (this.#open.length > MAX_PARTS) throw new Error(`more than ${MAX_PARTS} parts of one step`);
    if (!part.complete) return undefined;
    const parts = this.#open;
    this.#open = [];
    return {
      revision: part.revision,
      reset: parts[0]?.reset === true,
      routes: parts.flatMap(({ routes }) => routes),
      revoked: parts.flatMap(({ revoked }) => revoked),
      keySet: parts.findLast(({ keySet }) => keySet !== undefined)?.keySet,
    };
  }
}

function isHeartbeat({ keySet, reset, revoked, routes }: RouteChange): boolean {
  return !reset && routes.length === 0 && revoked.length === 0 && keySet === undefined;
}
