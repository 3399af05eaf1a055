// What an edge knows of sandboxes, tokens and keys, and how it stays true.

export type { RevokedToken, RouteChange } from "./change.ts";
export { mayCome } from "./inbound.ts";
export { ENDED_ROUTE_KEPT_MS } from "./limits.ts";
export type { PortKind, Route, RouteState, TunnelRoute } from "./route.ts";
export type { RouteTableOptions, TableChange } from "./route-table.ts";
export { RouteTable } from "./route-table.ts";
export type { TunnelWay } from "./tunnel-index.ts";
export type { RouteProblem, RouteWatch, WatchRoutesOptions } from "./watch-routes.ts";
export { watchRoutes } from "./watch-routes.ts";
