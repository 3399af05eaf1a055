// The truth down to edges: everything at once or what is newer than they have, then changes as they commit, and each
// second a sign of life with the newest number.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { EdgeKind } from "../domain/edge-kind.ts";
import { ENDED_ROUTE_LIFE_MS, MAX_EDGES } from "../domain/limits.ts";
import { acknowledge, registerEdge, touchEdge } from "../store/edges.ts";
import type { ChangesPage, RevocationRow, RouteRow } from "../store/routes.ts";
import { readChanges } from "../store/routes.ts";
import { EDGES_TOPIC, ROUTES_TOPIC } from "../store/topics.ts";
import type { ServiceDeps } from "./deps.ts";

const HEARTBEAT_MS = 1_000;
/** After news: more of it is told together, since an edge puts each part on its disk. */
const REST_MS = 5;
/** Of one message: some 200 bytes each. */
const PART = 1_000;
/** A sign of life that says nothing new is written this often. */
const TOUCH_EVERY_MS = 1_000;

/** A part of the truth. Parts up to and including one that is complete belong together. */
export interface RoutesPart {
  readonly revision: number;
  readonly reset: boolean;
  readonly complete: boolean;
  readonly routes: readonly RouteRow[];
  readonly revoked: readonly RevocationRow[];
  /** JSON of a JWK set, where it has changed. */
  readonly keySet: string | undefined;
}

export interface WatchRoutesRequest {
  readonly edgeId: string;
  /** Undefined for one that this release does not know. */
  readonly kind: EdgeKind | undefined;
  readonly sinceRevision: number;
}

/** Never ends by itself. Throws ResourceExhausted for one edge too many. */
export async function* watchRoutes(
  deps: ServiceDeps,
  request: WatchRoutesRequest,
  signal: AbortSignal,
): AsyncGenerator<RoutesPart, void, undefined> {
  const edgeId = checkEdgeId(request.edgeId);
  const since = checkRevision("since_revision", request.sinceRevision);
  const { kind } = request;
  if (kind === undefined) throw invalidArgument("kind", "is no kind of edge that this platform knows");
  using subscription = deps.hub.subscribe(ROUTES_TOPIC);
  const start = await readChanges(deps.db, since, 1);
  let reset = since < start.floor || since > start.head;
  let told = reset ? 0 : since;
  // What it has is what it acts on, from before this stream.
  await register(deps, { id: edgeId, kind, revision: told });
  deps.acknowledgements.forget(edgeId);
  let toldKeys = told;
  let isSnapshot = reset;
  let nextBeatAt = 0;
  for (;;) {
    const page = await readChanges(deps.db, told, PART);
    if (!isSnapshot && told < page.floor) {
      // It took so long to read that what it was not told yet has been forgotten meanwhile.
      [reset, isSnapshot, told, toldKeys] = [true, true, 0, 0];
      continue;
    }
    const keySet = page.isWhole && page.keysRevision > toldKeys ? await deps.connectKeys.publishedSet() : undefined;
    const now = deps.clock.monotonicMs();
    const isNews = reset || page.last > told;
    if (isNews || now >= nextBeatAt) {
      // Whoever begins anew needs no route that ended long ago; whoever goes on has it, and hears however late of its end.
      const endedAfter = isSnapshot ? deps.clock.now() - ENDED_ROUTE_LIFE_MS : Number.NEGATIVE_INFINITY;
      yield partOf(page, { reset, keySet, endedAfter });
      nextBeatAt = now + HEARTBEAT_MS;
      told = page.last;
      reset = false;
      if (keySet !== undefined) toldKeys = page.keysRevision;
    }
    signal.throwIfAborted();
    if (!page.isWhole) continue;
    isSnapshot = false;
    if (isNews) await deps.clock.sleep(REST_MS, signal);
    await subscription.next(Math.max(0, nextBeatAt - deps.clock.monotonicMs()), signal);
  }
}

function partOf(
  { isWhole, last, revoked, routes }: ChangesPage,
  told: { readonly reset: boolean; readonly keySet: string | undefined; readonly endedAfter: number },
): RoutesPart {
  return {
    revision: last,
    reset: told.reset,
    complete: isWhole,
    routes: routes.filter(({ endedAt }) => endedAt === undefined || endedAt.getTime() > told.endedAfter),
    revoked,
    keySet: told.keySet,
  };
}

async function register(deps: ServiceDeps, edge: Parameters<typeof registerEdge>[1]): Promise<void> {
  if (await registerEdge(deps.db, edge, MAX_EDGES)) return;
  throw new AppError("ResourceExhausted", `there are ${MAX_EDGES} edges already`, {
    field: "edge_id",
    hint: "an edge keeps its id over restarts; those that are silent are forgotten after a day",
  });
}

/** Takes note that an edge that has shown itself is there. */
export function meetEdge(deps: ServiceDeps, edgeId: string, kind: EdgeKind): Promise<void> {
  return register(deps, { id: checkEdgeId(edgeId), kind, revision: undefined });
}

/** What edges say they act on: what is new is written at once, what is not now and then. */
export class Acknowledgements {
  readonly #written = new Map<string, { readonly revision: number; readonly atMs: number }>();

  /** Throws FailedPrecondition for an edge that does not watch, and for a number that nobody was told. */
  async note(deps: ServiceDeps, request: { readonly edgeId: string; readonly revision: number }): Promise<void> {
    const id = checkEdgeId(request.edgeId);
    const revision = checkRevision("revision", request.revision);
    const before = this.#written.get(id);
    const nowMs = deps.clock.monotonicMs();
    const isSame = before?.revision === revision;
    if (isSame && nowMs - before.atMs < TOUCH_EVERY_MS) return;
    const isTouched = isSame && (await touchEdge(deps.db, { id, revision }));
    if (!isTouched && !(await acknowledge(deps.db, { id, revision }))) {
      this.#written.delete(id);
      throw new AppError("FailedPrecondition", "edge_id: is not told of routes, or not of this revision", {
        field: "edge_id",
        hint: "watch them first",
      });
    }
    if (!isTouched) deps.hub.wake(EDGES_TOPIC); // our own notification tells the other processes alone
    if (this.#written.size >= MAX_EDGES && before === undefined) this.#written.clear();
    this.#written.set(id, { revision, atMs: nowMs });
  }

  /** The next word of this edge is written, whatever it is. */
  forget(edgeId: string): void {
    this.#written.delete(edgeId);
  }
}

/** Throws InvalidArgument for what is no id. */
export function checkEdgeId(text: string, field = "edge_id"): string {
  if (/^[A-Za-z0-9-]{1,64}$/.test(text)) return text;
  throw invalidArgument(field, "must be 1 to 64 letters, digits and dashes");
}

function checkRevision(field: string, revision: number): number {
  if (Number.isSafeInteger(revision) && revision >= 0) return revision;
  throw invalidArgument(field, "must be 0 or more");
}
