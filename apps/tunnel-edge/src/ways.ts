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
    return this.#find(this.#rawByPublicPort(port), address);
  }

  /** Behind this public port, whoever comes. */
  ofPublicPort(port: number): Way | undefined {
    return this.#wayOf(this.#rawByPublicPort(port));
  }

  /** The sandbox as it is now, if a client that was let in may still be there. */
  current({ route, tunnel }: Way, address: string): Route | undefined {
    const found = this.byLabel(tunnel.label, address);
    return isWay(found) && found.route.sandboxId === route.sandboxId ? found.route : undefined;
  }

  #find(found: TunnelWay | undefined, address: string): Found {
    const way = this.#wayOf(found);
    if (way === undefined) return "unknown";
    return mayCome(way.route, address) ? way : { notAllowed: way };
  }

  #wayOf(found: TunnelWay | undefined): Way | undefined {
    if (found === undefined) return undefined;
    const route = this.#table.get(found.sandboxId);
    return route === undefined || route.state === "ended" ? undefined : { route, tunnel: found.tunnel };
  }

  #rawByPublicPort(port: number): TunnelWay | undefined {
    const found = this.#table.tunnelByPublicPort(port);
    return found?.tunnel.kind === "raw" ? found : undefined;
  }
}
