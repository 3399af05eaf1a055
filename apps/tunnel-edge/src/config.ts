// The tunnel-edge's settings: environment in, frozen values out.
import { isIP } from "node:net";
import { join } from "node:path";
import { absolutePath, ConfigError, intBetween, readEnv } from "@sallyport/appkit/env";
import type { EdgeLimits } from "@sallyport/edge";
import { DEFAULT_EDGE_LIMITS, domainName, flag, listOf, peers, platformId } from "@sallyport/edge";
import { z } from "zod";
import type { TunnelLimits } from "./limits.ts";
import { CONNECTIONS_PER_SANDBOX, DEFAULT_TUNNEL_LIMITS } from "./limits.ts";

/** Both ends are of it. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export interface TunnelEdgeConfig {
  /** A folder of this process alone: routes, keys, certificates, access log. */
  readonly stateDirectory: string;
  /** Keys of TLS session tickets, shared with the edge's other processes. */
  readonly ticketDirectory: string;
  /** How many listening sockets are handed over: "tunnel-0", "tunnel-1", ... */
  readonly listeners: number;
  /** Tunnels' hosts are `<label>.<tunnel domain>`. */
  readonly tunnelDomain: string;
  /** Hosts `<sandbox id>.<connect domain>` are the connect-proxy's. */
  readonly connectDomain: string;
  /** Where processes of the connect-proxy take connections that are handed over; none: its hosts are not served here. */
  readonly connectSockets: readonly string[];
  /** The port that clients name beside a tunnel's host; undefined: the one that they came to. */
  readonly publicPort: number | undefined;
  /** Raw ports: where they are, and out of which; undefined: there are none. */
  readonly raw: { readonly address: string; readonly ports: PortRange } | undefined;
  /** Where the api serves EdgeService. */
  readonly apiSocket: string;
  /** The gateway of routes that name none. */
  readonly gatewaySocket: string;
  readonly platformId: string;
  /** The operator's own certificate for `*.<tunnel domain>`; unset: the platform's authority issues one per host. */
  readonly certificate: { readonly chain: string; readonly key: string } | undefined;
  /** Whether an address is of the operator's load balancers, whose connections begin with a PROXY header. */
  readonly isTrustedPeer: (address: string) => boolean;
  /** Whether each connection is written down. */
  readonly accessLog: boolean;
  /** A port of the loopback at which metrics are read, beside the socket in the state folder. */
  readonly metricsPort: number | undefined;
  /** How long connections may take to end when the edge stops. */
  readonly drainMs: number;
  readonly edgeLimits: EdgeLimits;
  readonly tunnelLimits: TunnelLimits;
}

const MAX_LISTENERS = 16;
const MAX_PROCESSES = 64;
const MAX_CONNECT_SOCKETS = 64;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_CONNECTIONS = 1_000_000;

/** Paths that fit into a socket's address (unix(7)). */
const sockets = z
  .string()
  .transform(listOf)
  .refine((paths) => paths.length <= MAX_CONNECT_SOCKETS, `must be ${MAX_CONNECT_SOCKETS} paths at most`)
  .refine((paths) => paths.every((path) => path.startsWith("/") && path.length <= 107), "must be absolute paths");
const address = z
  .string()
  .refine((text) => isIP(text) !== 0 && text !== "0.0.0.0" && text !== "::", "must be one IP address of this machine");
const portRange = z.string().transform((text, context): PortRange | undefined => {
  if (text === "") return undefined;
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? [];
  if (from === undefined || Number(from) < 1 || Number(from) > Number(to) || Number(to) > 65_535) {
    context.addIssue("must be FROM-TO, e.g. 20000-20999");
    return z.NEVER;
  }
  return { from: Number(from), to: Number(to) };
});
const connections = intBetween(1, MAX_CONNECTIONS);

const SHAPE = {
  SALLYPORT_TUNNEL_STATE: absolutePath,
  /** A folder of the edge's processes alone; in the state folder when unset. */
  SALLYPORT_TUNNEL_TICKETS: absolutePath.optional(),
  SALLYPORT_TUNNEL_LISTENERS: intBetween(1, MAX_LISTENERS),
  SALLYPORT_TUNNEL_DOMAIN: domainName.default("localhost"),
  SALLYPORT_TUNNEL_PORT: intBetween(1, 65_535).optional(),
  SALLYPORT_TUNNEL_CONNECT_DOMAIN: domainName.default("localhost"),
  /** Paths, separated by commas. */
  SALLYPORT_TUNNEL_CONNECT_SOCKETS: sockets.prefault(""),
  /** Cookies know no ports: no name of a connect, tunnel, console or api host may lead there. */
  SALLYPORT_TUNNEL_RAW_ADDRESS: address.default("127.0.0.2"),
  /** FROM-TO; none when unset. */
  SALLYPORT_TUNNEL_RAW_PORTS: portRange.prefault(""),
  SALLYPORT_API_EDGE_SOCKET: absolutePath,
  SALLYPORT_GATEWAY_OPEN_SOCKET: absolutePath,
  SALLYPORT_PLATFORM_ID: platformId,
  SALLYPORT_TUNNEL_CERT: absolutePath.optional(),
  SALLYPORT_TUNNEL_KEY: absolutePath.optional(),
  /** Addresses and CIDRs, separated by commas, of load balancers in front. */
  SALLYPORT_TUNNEL_TRUSTED_PROXIES: peers,
  SALLYPORT_TUNNEL_ACCESS_LOG: flag.default(true),
  SALLYPORT_TUNNEL_METRICS_PORT: intBetween(1, 65_535).optional(),
  SALLYPORT_TUNNEL_DRAIN_MS: intBetween(0, HOUR_MS).default(5_000),
  /** Of this edge, at the same addresses. */
  SALLYPORT_TUNNEL_PROCESSES: intBetween(1, MAX_PROCESSES).default(1),
  /** Bounds; their defaults stand beside their names. */
  SALLYPORT_TUNNEL_CONNECTIONS: connections.default(DEFAULT_EDGE_LIMITS.connections),
  SALLYPORT_TUNNEL_CONNECTIONS_PER_ADDRESS: connections.default(DEFAULT_EDGE_LIMITS.connectionsPerAddress),
  /** {@link CONNECTIONS_PER_SANDBOX}, shared among the processes, when unset. */
  SALLYPORT_TUNNEL_CONNECTIONS_PER_SANDBOX: connections.optional(),
  SALLYPORT_TUNNEL_HANDSHAKES: connections.default(DEFAULT_EDGE_LIMITS.handshakes),
  SALLYPORT_TUNNEL_HANDSHAKE_MS: intBetween(100, HOUR_MS).default(DEFAULT_EDGE_LIMITS.handshakeMs),
  SALLYPORT_TUNNEL_OPEN_MS: intBetween(100, HOUR_MS).default(DEFAULT_TUNNEL_LIMITS.openMs),
  SALLYPORT_TUNNEL_START_RETRY_MS: intBetween(0, 60_000).default(DEFAULT_TUNNEL_LIMITS.startRetryMs),
  SALLYPORT_TUNNEL_IDLE_MS: intBetween(0, 30 * DAY_MS).default(DEFAULT_TUNNEL_LIMITS.idleMs),
  SALLYPORT_TUNNEL_RAW_IDLE_MS: intBetween(0, 30 * DAY_MS).default(DEFAULT_TUNNEL_LIMITS.rawIdleMs),
  SALLYPORT_TUNNEL_BYTES_PER_SECOND: intBetween(0, 1_000_000_000_000).default(DEFAULT_TUNNEL_LIMITS.bytesPerSecond),
};

/** Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): TunnelEdgeConfig {
  const values = readEnv(SHAPE, env);
  const {
    SALLYPORT_TUNNEL_CERT: chain,
    SALLYPORT_TUNNEL_KEY: key,
    SALLYPORT_TUNNEL_CONNECT_DOMAIN: connectDomain,
    SALLYPORT_TUNNEL_DOMAIN: tunnelDomain,
    SALLYPORT_TUNNEL_RAW_PORTS: ports,
  } = values;
  const problems = [
    ...((chain === undefined) === (key === undefined)
      ? []
      : ["SALLYPORT_TUNNEL_CERT, SALLYPORT_TUNNEL_KEY: set both of them, or neither"]),
    ...(shareCookies(tunnelDomain, connectDomain)
      ? ["SALLYPORT_TUNNEL_DOMAIN, SALLYPORT_TUNNEL_CONNECT_DOMAIN: must not be the same, nor one below the other"]
      : []),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze({
    stateDirectory: values.SALLYPORT_TUNNEL_STATE,
    ticketDirectory: values.SALLYPORT_TUNNEL_TICKETS ?? join(values.SALLYPORT_TUNNEL_STATE, "tickets"),
    listeners: values.SALLYPORT_TUNNEL_LISTENERS,
    tunnelDomain,
    connectDomain,
    connectSockets: Object.freeze(values.SALLYPORT_TUNNEL_CONNECT_SOCKETS),
    publicPort: values.SALLYPORT_TUNNEL_PORT,
    raw:
      ports === undefined
        ? undefined
        : Object.freeze({ address: values.SALLYPORT_TUNNEL_RAW_ADDRESS, ports: Object.freeze(ports) }),
    apiSocket: values.SALLYPORT_API_EDGE_SOCKET,
    gatewaySocket: values.SALLYPORT_GATEWAY_OPEN_SOCKET,
    platformId: values.SALLYPORT_PLATFORM_ID,
    certificate: chain === undefined || key === undefined ? undefined : Object.freeze({ chain, key }),
    isTrustedPeer: values.SALLYPORT_TUNNEL_TRUSTED_PROXIES,
    accessLog: values.SALLYPORT_TUNNEL_ACCESS_LOG,
    metricsPort: values.SALLYPORT_TUNNEL_METRICS_PORT,
    drainMs: values.SALLYPORT_TUNNEL_DRAIN_MS,
    edgeLimits: Object.freeze({
      connections: values.SALLYPORT_TUNNEL_CONNECTIONS,
      connectionsPerAddress: values.SALLYPORT_TUNNEL_CONNECTIONS_PER_ADDRESS,
      connectionsPerSandbox:
        values.SALLYPORT_TUNNEL_CONNECTIONS_PER_SANDBOX ??
        Math.ceil(CONNECTIONS_PER_SANDBOX / values.SALLYPORT_TUNNEL_PROCESSES),
      handshakes: values.SALLYPORT_TUNNEL_HANDSHAKES,
      handshakeMs: values.SALLYPORT_TUNNEL_HANDSHAKE_MS,
    }),
    tunnelLimits: Object.freeze({
      openMs: values.SALLYPORT_TUNNEL_OPEN_MS,
      startRetryMs: values.SALLYPORT_TUNNEL_START_RETRY_MS,
      idleMs: values.SALLYPORT_TUNNEL_IDLE_MS,
      rawIdleMs: values.SALLYPORT_TUNNEL_RAW_IDLE_MS,
      bytesPerSecond: values.SALLYPORT_TUNNEL_BYTES_PER_SECOND,
    }),
  });
}

/** Whether a page below one domain could set cookies for the other. Each host below `localhost` is a site of its own. */
function shareCookies(one: string, other: string): boolean {
  if (one === "localhost" && other === "localhost") return false;
  return one === other || one.endsWith(`.${other}`) || other.endsWith(`.${one}`);
}
