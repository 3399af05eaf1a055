// Where a client may go: to a declared port of a living sandbox that lets its address come.
import type { Route, RouteTable, TunnelRoute, TunnelWay } from "@sallyport/dataplane/routes";
import { mayCome } from "@sallyport/dataplane/routes";

export interface Way {
  readonly route: Route;
  readonly tunnel: TunnelRoute;
}

/** To the client both are the same: who may not come learns of no sandbox. */
export type NoWay = "unknown" | "not-allowed";

export class Ways {
  readonly #table: RouteTable;

  constructor(table: RouteTable) {
    this.#table = table;
  }

  /** Behind the host of this label, in lower case, for a client of this address. */
  byLabel(label: string, address: string): Way | NoWay {
    return this.#find(this.#table.tunnelByLabel(label), address);
  }

  /** Behind this public port. */
  byPublicPort(port: number, address: string): Way | NoWay {
    const found = this.#table.tunnelByPublicPort(port);
    return this.#find(found?.tunnel.kind === "raw" ? found : undefined, address);
  }

  /** The sandbox as it is now, if a client that was let in may still be there. */
  current({ route, tunnel }: Way, address: string): Route | undefined {
    const found = this.byLabel(tunnel.label, address);
    return typeof found === "string" || found.route.sandboxId !== route.sandboxId ? undefined : found.route;
  }

  #find(found: TunnelWay | undefined, address: string): Way | NoWay {
    if (found === undefined) return "unknown";
    const route = this.#table.get(found.sandboxId);
    if (route === undefined || route.state === "ended") return "unknown";
    return mayCome(route, address) ? { route, tunnel: found.tunnel } : "not-allowed";
  }
}
