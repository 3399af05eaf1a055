// What an edge knows: the ways to sandboxes, the tokens that are revoked, the keys that count. Held in memory, changed in
// whole steps, answered at once; what is over is forgotten by time.

import type { KeySet } from "@sallyport/connect-token/verify";
import { parseKeySet } from "@sallyport/connect-token/verify";
import type { RouteChange } from "./change.ts";
import { ENDED_ROUTE_KEPT_MS, MAX_ROUTES } from "./limits.ts";
import { Revocations } from "./revocations.ts";
import type { Route } from "./route.ts";
import type { TunnelWay } from "./tunnel-index.ts";
import { TunnelIndex } from "./tunnel-index.ts";

/** What a step changed. */
export interface TableChange {
  /** Sandboxes whose route came, changed or went, or of which tokens were revoked. */
  readonly sandboxIds: ReadonlySet<string>;
  /** Other keys count now: any grant may have ended. */
  readonly keysChanged: boolean;
}

export interface RouteTableOptions {
  /** The platform whose truth counts, and no other's. */
  readonly platformId: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

type Listener = (change: TableChange) => void;

const NO_KEYS: KeySet = { size: 0, has: () => false, get: () => undefined };

export class RouteTable {
  readonly platformId: string;
  readonly #now: () => number;
  #routes = new Map<string, Route>();
  readonly #tunnels = new TunnelIndex();
  #revoked = new Revocations();
  #keys = NO_KEYS;
  #keySet: string | undefined;
  #revision = 0;
  readonly #listeners = new Set<Listener>();

  constructor({ now, platformId }: RouteTableOptions) {
    this.platformId = platformId;
    this.#now = now;
  }

  /** Of the truth that is acted on; 0: nothing is known yet. */
  get revision(): number {
    return this.#revision;
  }

  /** How many routes are known. */
  get size(): number {
    return this.#routes.size;
  }

  /** The way to a sandbox; undefined for one that is not known, or no longer. */
  get(sandboxId: string): Route | undefined {
    const route = this.#routes.get(sandboxId);
    return route === undefined || this.#isOver(route) ? undefined : route;
  }

  /** The declared port of a living sandbox whose host has this label, in lower case. */
  tunnelByLabel(label: string): TunnelWay | undefined {
    return this.#tunnels.byLabel(label);
  }

  /** The declared port of a living sandbox that has this public port. */
  tunnelByPublicPort(port: number): TunnelWay | undefined {
    return this.#tunnels.byPublicPort(port);
  }

  /** Every public port that leads to a living sandbox. */
  publicPorts(): Iterable<number> {
    return this.#tunnels.publicPorts();
  }

  /** Every route that is known. */
  routes(): Iterable<Route> {
    return this.#routes.values();
  }

  /** Whether this one token is revoked. */
  isRevoked(tokenId: string, sandboxId: string): boolean {
    return this.#revoked.has(tokenId, sandboxId);
  }

  /** Whether tokens of this epoch count for the sandbox; of one that is not known none does. */
  isCurrentEpoch(sandboxId: string, epoch: number): boolean {
    const route = this.get(sandboxId);
    // A later one than is known here: the api has issued it after a change that is still on its way.
    return route !== undefined && epoch >= route.tokenEpoch && !this.#revoked.closes(sandboxId, epoch);
  }

  /** The keys of connect tokens that count. */
  keys(): KeySet {
    return this.#keys;
  }

  /** Called after each change. The listener must not throw. */
  onChange(listener: Listener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /**
   * Applies a step, wholly or not at all. Rejects for a key set that is none, for more routes than the table holds, and for
   * an earlier revision than its own that does not begin anew. Revoked tokens are never too many for it.
   */
  async apply(change: RouteChange): Promise<void> {
    if (!change.reset && change.revision < this.#revision) {
      throw new Error(`revision ${change.revision} comes after ${this.#revision}`);
    }
    const keys = await this.#newKeys(change);
    const touched = new Set<string>(change.reset ? this.#routes.keys() : []);
    const routes = change.reset ? new Map<string, Route>() : this.#routes;
    this.#makeRoom(routes, change.routes, touched);
    if (change.reset) {
      this.#revoked = new Revocations();
      this.#tunnels.clear();
    }
    this.#routes = routes;
    for (const route of change.routes) {
      this.#set(route);
      touched.add(route.sandboxId);
    }
    for (const closed of change.closed ?? []) this.#revoked.close(closed);
    const epochOf = (sandboxId: string) => routes.get(sandboxId)?.tokenEpoch ?? 0;
    for (const token of change.revoked) {
      // A token for what has ended, or is not known, leads nowhere anyway.
      const route = routes.get(token.sandboxId);
      if (route === undefined || route.state === "ended") continue;
      this.#revoked.add(token, epochOf);
      touched.add(token.sandboxId);
    }
    if (keys !== undefined) [this.#keys, this.#keySet] = [keys, change.keySet];
    this.#revision = change.revision;
    this.#tell({ sandboxIds: touched, keysChanged: keys !== undefined });
  }

  /** Everything, as one step that begins anew. */
  snapshot(): RouteChange {
    this.forgetWhatIsOver();
    return {
      revision: this.#revision,
      reset: true,
      routes: [...this.#routes.values()],
      revoked: this.#revoked.tokens(),
      closed: this.#revoked.closed(),
      keySet: this.#keySet,
    };
  }

  /** Ended routes after their hour, revoked tokens after they would have expired anyway. */
  forgetWhatIsOver(): void {
    const gone = new Set<string>();
    for (const route of this.#routes.values()) {
      if (!this.#isOver(route)) continue;
      this.#routes.delete(route.sandboxId);
      gone.add(route.sandboxId);
    }
    this.#revoked.forgetExpired(this.#now());
    if (gone.size > 0) this.#tell({ sandboxIds: gone, keysChanged: false });
  }

  /** The keys that count from this step on; undefined: the same as before. One that begins anew without any leaves none. */
  async #newKeys({ keySet, reset }: RouteChange): Promise<KeySet | undefined> {
    if (keySet === undefined) return reset ? NO_KEYS : undefined;
    return keySet === this.#keySet ? undefined : await parseKeySet(keySet);
  }

  #set(route: Route): void {
    const before = this.#routes.get(route.sandboxId);
    if (before !== undefined) this.#tunnels.remove(before);
    this.#routes.set(route.sandboxId, Object.freeze(this.#withEnd(route)));
    this.#tunnels.add(route);
    const isNewEpoch = before !== undefined && before.tokenEpoch < route.tokenEpoch;
    if (route.state === "ended" || isNewEpoch) this.#revoked.forget(route.sandboxId);
  }

  /** Throws when not even forgetting ended routes makes room. */
  #makeRoom(routes: Map<string, Route>, coming: readonly Route[], touched: Set<string>): void {
    const fresh = coming.filter(({ sandboxId }) => !routes.has(sandboxId)).length;
    let excess = routes.size + fresh - MAX_ROUTES;
    if (excess <= 0) return;
    const ended = [...routes.values()].filter(({ state }) => state === "ended").slice(0, excess);
    if (ended.length < excess) throw new Error(`more than ${MAX_ROUTES} routes`);
    for (const { sandboxId } of ended) {
      routes.delete(sandboxId);
      touched.add(sandboxId);
      excess -= 1;
    }
  }

  /** An ended route has an end, from which its hour counts. */
  #withEnd(route: Route): Route {
    const { endedAtMs = this.#now(), state } = route;
    return state === "ended" ? { ...route, endedAtMs } : { ...route };
  }

  #isOver({ endedAtMs, state }: Route): boolean {
    return state === "ended" && endedAtMs !== undefined && endedAtMs + ENDED_ROUTE_KEPT_MS <= this.#now();
  }

  #tell(change: TableChange): void {
    if (change.sandboxIds.size === 0 && !change.keysChanged) return;
    for (const listener of this.#listeners) listener(change);
  }
}
