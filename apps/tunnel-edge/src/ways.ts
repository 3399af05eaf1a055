// Where a client may go: to a declared port of a living sandbox that lets its address come.
import type { Route, RouteTable, TunnelRoute, TunnelWay } from "@sallyport/dataplane/routes";
import { mayCome } from "@sallyport/dataplane/routes";

export interface Way {
  readonly route: Route;
  readonly tunnel: TunnelRoute;
}

/** A way that is not this client's. To the client it is as an unknown one: who may not come learns of no sandbox. */
interface NotAllowed {
  readonly notAllowed: Way;
}

export type Found = Way | NotAllowed | "unknown";

export function isWay(found: Found): found is Way {
  return found !== "unknown" && !("notAllowed" in found);
}

export class Ways {
  readonly #table: RouteTable;

  constructor(table: RouteTable) {
    this.#table = table;
  }

  /** Behind the host of this label, in lower case, for a client of this address. */
  byLabel(label: string, address: string): Found {
    return this.#find(this.#table.tunnelByLabel(label), address);
  }

  /** Behind this public port. */
  byPublicPort(port: number, address: string): Found {
    const found = this.#table.tunnelByPublicPort(port);
    return this.#find(found?.tunnel.kind === "raw" ? found : undefined, address);
  }

  /** The sandbox as it is now, if a client that was let in may still be there. */
  current({ route, tunnel }: Way, address: string): Route | undefined {
    const found = this.byLabel(tunnel.label, address);
    return isWay(found) && found.route.sandboxId === route.sandboxId ? found.route : undefined;
  }

  #find(found: TunnelWay | undefined, address: string): Found {
    if (found === undefined) return "unknown";
    const route = this.#table.get(found.sandboxId);
    if (route === undefined || route.state === "ended") return "unknown";
    const way = { route, tunnel: found.tunnel };
    return mayCome(route, address) ? way : { notAllowed: way };
  }
}
