// The way to one sandbox, as an edge knows it.

/** `starting`: whoever comes may wait a little. `ended`: going or gone; known for an hour, then forgotten. */
export type RouteState = "starting" | "running" | "ended";

/** `tls`: TLS, then plain TCP. `h2`: TLS, then HTTP/2 with prior knowledge. `raw`: TCP at a public port, and as `tls` besides. */
export type PortKind = "tls" | "h2" | "raw";

/** One declared port of a sandbox. */
export interface TunnelRoute {
  /** In the sandbox. */
  readonly port: number;
  readonly kind: PortKind;
  /** Of its host below the tunnel domain, in lower case. */
  readonly label: string;
  /** Of a raw port. */
  readonly publicPort?: number | undefined;
  /** Its connections begin with a PROXY v2 header. */
  readonly proxyProtocol: boolean;
}

/** The way to one sandbox. Immutable: a change is another object. */
export interface Route {
  readonly sandboxId: string;
  readonly workspaceId: string;
  /** The incarnation that connections are opened to. */
  readonly instanceId: string;
  readonly state: RouteState;
  /** Where its gateway opens connections: the path of a Unix socket. */
  readonly gateway: string;
  /** Tokens of an earlier epoch do not count. */
  readonly tokenEpoch: number;
  /** Milliseconds since the epoch; of an ended route. */
  readonly endedAtMs?: number | undefined;
  /** Its declared ports; none when unset. */
  readonly tunnels?: readonly TunnelRoute[] | undefined;
  /** CIDRs of those who may come: unset, everybody may; empty, nobody. {@link mayCome} reads it. */
  readonly inbound?: readonly string[] | undefined;
}
