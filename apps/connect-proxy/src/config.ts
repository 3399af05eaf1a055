// The connect-proxy's settings: environment in, frozen values out.
import { join } from "node:path";
import { absolutePath, ConfigError, intBetween, readEnv } from "@sallyport/appkit/env";
import type { EdgeLimits } from "@sallyport/edge";
import { DEFAULT_EDGE_LIMITS, domainName, flag, peers, platformId } from "@sallyport/edge";
import { z } from "zod";
import type { StreamLimits } from "./h2/limits.ts";
import { DEFAULT_STREAM_LIMITS } from "./h2/limits.ts";
import type { CoreLimits } from "./limits.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { PreflightRule } from "./preflight.ts";

export interface ConnectProxyConfig {
  /** A folder of this process and of those that replace it: routes, keys, certificates, access log. */
  readonly stateDirectory: string;
  /** How many listening sockets are handed over: "connect-0", "connect-1", ... */
  readonly listeners: number;
  /** Whether a listening Unix socket is handed over, "handover", whose connections begin with a PROXY header. */
  readonly takesHandOver: boolean;
  /** The same as a path at which the proxy makes it itself; its group may connect. */
  readonly handOverSocket: string | undefined;
  /** A folder that all processes of this proxy share: keys of TLS sessions. */
  readonly ticketDirectory: string;
  /** Sandboxes' hosts are `<sandbox id>.<connect domain>`. */
  readonly connectDomain: string;
  /** Where the api serves EdgeService. */
  readonly apiSocket: string;
  /** The gateway of routes that name none. */
  readonly gatewaySocket: string;
  readonly platformId: string;
  /** The operator's own certificate for `*.<connect domain>`; unset: the platform's authority issues one per host. */
  readonly certificate: { readonly chain: string; readonly key: string } | undefined;
  readonly http2: boolean;
  /** Whether an address is of the operator's proxies, which are believed about where a request comes from. */
  readonly isTrustedPeer: (address: string) => boolean;
  readonly preflight: PreflightRule;
  /** Whether an app may have a service worker for its whole host. */
  readonly rootServiceWorkers: boolean;
  /** Whether a WebSocket outlives its token. */
  readonly keepWebSockets: boolean;
  /** Verified tokens that are remembered. */
  readonly cachedTokens: number;
  /** Whether each exchange is written down. */
  readonly accessLog: boolean;
  /** A port of the loopback at which metrics are read, beside the socket in the state folder. */
  readonly metricsPort: number | undefined;
  /** How long what is under way may take to end when the proxy stops. */
  readonly drainMs: number;
  readonly edgeLimits: EdgeLimits;
  readonly coreLimits: CoreLimits;
  readonly streamLimits: StreamLimits;
}

const MAX_LISTENERS = 16;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
/** Of one connection with one request under way. */
const MAX_CONNECTIONS = 1_000_000;

const connections = intBetween(1, MAX_CONNECTIONS);
const duration = intBetween(100, HOUR_MS);

const SHAPE = {
  SALLYPORT_CONNECT_STATE: absolutePath,
  SALLYPORT_CONNECT_TICKETS: absolutePath.optional(),
  SALLYPORT_CONNECT_LISTENERS: intBetween(0, MAX_LISTENERS).default(0),
  /** Where connections come that an edge in front has read the name of, and not opened. */
  SALLYPORT_CONNECT_HANDOVER: flag.default(false),
  SALLYPORT_CONNECT_HANDOVER_SOCKET: absolutePath.optional(),
  SALLYPORT_CONNECT_DOMAIN: domainName.default("localhost"),
  SALLYPORT_API_EDGE_SOCKET: absolutePath,
  SALLYPORT_GATEWAY_OPEN_SOCKET: absolutePath,
  SALLYPORT_PLATFORM_ID: platformId,
  SALLYPORT_CONNECT_CERT: absolutePath.optional(),
  SALLYPORT_CONNECT_KEY: absolutePath.optional(),
  SALLYPORT_CONNECT_HTTP2: flag.default(true),
  /** Addresses and CIDRs, separated by commas, whose X-Forwarded-… count. */
  SALLYPORT_CONNECT_TRUSTED_PROXIES: peers,
  /** What becomes of OPTIONS without a token: answered here, or refused. */
  SALLYPORT_CONNECT_PREFLIGHT: z.enum(["answer", "refuse"]).default("answer"),
  SALLYPORT_CONNECT_ROOT_SERVICE_WORKERS: flag.default(false),
  SALLYPORT_CONNECT_KEEP_WEBSOCKETS: flag.default(false),
  SALLYPORT_CONNECT_CACHED_TOKENS: intBetween(1, 1_000_000).default(8_192),
  SALLYPORT_CONNECT_ACCESS_LOG: flag.default(true),
  SALLYPORT_CONNECT_METRICS_PORT: intBetween(1, 65_535).optional(),
  SALLYPORT_CONNECT_DRAIN_MS: intBetween(0, HOUR_MS).default(5 * SECOND_MS),
  /** Bounds; their defaults stand beside their names. */
  SALLYPORT_CONNECT_CONNECTIONS: connections.default(DEFAULT_EDGE_LIMITS.connections),
  SALLYPORT_CONNECT_CONNECTIONS_PER_ADDRESS: connections.default(DEFAULT_EDGE_LIMITS.connectionsPerAddress),
  SALLYPORT_CONNECT_CONNECTIONS_PER_SANDBOX: connections.default(DEFAULT_EDGE_LIMITS.connectionsPerSandbox),
  SALLYPORT_CONNECT_HANDSHAKES: connections.default(DEFAULT_EDGE_LIMITS.handshakes),
  SALLYPORT_CONNECT_HANDSHAKE_MS: duration.default(DEFAULT_EDGE_LIMITS.handshakeMs),
  SALLYPORT_CONNECT_HEAD_BYTES: intBetween(4_096, 262_144).default(DEFAULT_LIMITS.maxHeadBytes),
  SALLYPORT_CONNECT_HEADERS: intBetween(16, 1_024).default(DEFAULT_LIMITS.maxHeaders),
  SALLYPORT_CONNECT_URL_BYTES: intBetween(1_024, 65_536).default(DEFAULT_LIMITS.maxUrlBytes),
  SALLYPORT_CONNECT_HEAD_MS: duration.default(DEFAULT_LIMITS.headMs),
  SALLYPORT_CONNECT_IDLE_MS: duration.default(DEFAULT_LIMITS.idleMs),
  SALLYPORT_CONNECT_STALL_MS: duration.default(DEFAULT_LIMITS.stallMs),
  SALLYPORT_CONNECT_ANSWER_MS: duration.default(DEFAULT_LIMITS.answerMs),
  SALLYPORT_CONNECT_ANSWER_IDLE_MS: intBetween(100, 24 * HOUR_MS).default(DEFAULT_LIMITS.answerIdleMs),
  SALLYPORT_CONNECT_START_RETRY_MS: intBetween(0, 60 * SECOND_MS).default(DEFAULT_LIMITS.startRetryMs),
  SALLYPORT_CONNECT_REQUESTS_PER_SANDBOX: connections.default(DEFAULT_LIMITS.maxRequestsPerSandbox),
  SALLYPORT_CONNECT_WEBSOCKETS_PER_SANDBOX: connections.default(DEFAULT_LIMITS.maxWebSocketsPerSandbox),
  SALLYPORT_CONNECT_WEBSOCKETS: connections.default(DEFAULT_LIMITS.maxWebSockets),
  SALLYPORT_CONNECT_STREAMS: intBetween(1, 1_000).default(DEFAULT_STREAM_LIMITS.maxStreams),
  SALLYPORT_CONNECT_RESET_BURST: intBetween(1, 100_000).default(DEFAULT_STREAM_LIMITS.resetBurst),
  SALLYPORT_CONNECT_RESETS_PER_SECOND: intBetween(1, 100_000).default(DEFAULT_STREAM_LIMITS.resetsPerSecond),
};

/** Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): ConnectProxyConfig {
  const values = readEnv(SHAPE, env);
  const { SALLYPORT_CONNECT_CERT: chain, SALLYPORT_CONNECT_KEY: key } = values;
  if ((chain === undefined) !== (key === undefined)) {
    throw new ConfigError(["SALLYPORT_CONNECT_CERT, SALLYPORT_CONNECT_KEY: set both of them, or neither"]);
  }
  const { SALLYPORT_CONNECT_HANDOVER: takesHandOver, SALLYPORT_CONNECT_HANDOVER_SOCKET: handOverSocket } = values;
  if (values.SALLYPORT_CONNECT_LISTENERS === 0 && !takesHandOver && handOverSocket === undefined) {
    throw new ConfigError([
      "SALLYPORT_CONNECT_LISTENERS, SALLYPORT_CONNECT_HANDOVER, SALLYPORT_CONNECT_HANDOVER_SOCKET: set one of them, or nobody can connect",
    ]);
  }
  return Object.freeze({
    stateDirectory: values.SALLYPORT_CONNECT_STATE,
    ticketDirectory: values.SALLYPORT_CONNECT_TICKETS ?? join(values.SALLYPORT_CONNECT_STATE, "tickets"),
    listeners: values.SALLYPORT_CONNECT_LISTENERS,
    takesHandOver,
    handOverSocket,
    connectDomain: values.SALLYPORT_CONNECT_DOMAIN,
    apiSocket: values.SALLYPORT_API_EDGE_SOCKET,
    gatewaySocket: values.SALLYPORT_GATEWAY_OPEN_SOCKET,
    platformId: values.SALLYPORT_PLATFORM_ID,
    certificate: chain === undefined || key === undefined ? undefined : Object.freeze({ chain, key }),
    http2: values.SALLYPORT_CONNECT_HTTP2,
    isTrustedPeer: values.SALLYPORT_CONNECT_TRUSTED_PROXIES,
    preflight: values.SALLYPORT_CONNECT_PREFLIGHT,
    rootServiceWorkers: values.SALLYPORT_CONNECT_ROOT_SERVICE_WORKERS,
    keepWebSockets: values.SALLYPORT_CONNECT_KEEP_WEBSOCKETS,
    cachedTokens: values.SALLYPORT_CONNECT_CACHED_TOKENS,
    accessLog: values.SALLYPORT_CONNECT_ACCESS_LOG,
    metricsPort: values.SALLYPORT_CONNECT_METRICS_PORT,
    drainMs: values.SALLYPORT_CONNECT_DRAIN_MS,
    edgeLimits: Object.freeze({
      connections: values.SALLYPORT_CONNECT_CONNECTIONS,
      connectionsPerAddress: values.SALLYPORT_CONNECT_CONNECTIONS_PER_ADDRESS,
      connectionsPerSandbox: values.SALLYPORT_CONNECT_CONNECTIONS_PER_SANDBOX,
      handshakes: values.SALLYPORT_CONNECT_HANDSHAKES,
      handshakeMs: values.SALLYPORT_CONNECT_HANDSHAKE_MS,
    }),
    coreLimits: Object.freeze({
      ...DEFAULT_LIMITS,
      maxHeadBytes: values.SALLYPORT_CONNECT_HEAD_BYTES,
      maxHeaders: values.SALLYPORT_CONNECT_HEADERS,
      maxUrlBytes: values.SALLYPORT_CONNECT_URL_BYTES,
      headMs: values.SALLYPORT_CONNECT_HEAD_MS,
      idleMs: values.SALLYPORT_CONNECT_IDLE_MS,
      stallMs: values.SALLYPORT_CONNECT_STALL_MS,
      answerMs: values.SALLYPORT_CONNECT_ANSWER_MS,
      answerIdleMs: values.SALLYPORT_CONNECT_ANSWER_IDLE_MS,
      startRetryMs: values.SALLYPORT_CONNECT_START_RETRY_MS,
      maxRequestsPerSandbox: values.SALLYPORT_CONNECT_REQUESTS_PER_SANDBOX,
      maxWebSocketsPerSandbox: values.SALLYPORT_CONNECT_WEBSOCKETS_PER_SANDBOX,
      maxWebSockets: values.SALLYPORT_CONNECT_WEBSOCKETS,
    }),
    streamLimits: Object.freeze({
      ...DEFAULT_STREAM_LIMITS,
      maxStreams: values.SALLYPORT_CONNECT_STREAMS,
      resetBurst: values.SALLYPORT_CONNECT_RESET_BURST,
      resetsPerSecond: values.SALLYPORT_CONNECT_RESETS_PER_SECOND,
    }),
  });
}
