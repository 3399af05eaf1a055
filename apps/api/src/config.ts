// The api's settings: environment in, frozen typed object out.
import { absolutePath, ConfigError, intBetween, readEnv } from "@sallyport/appkit/env";
import { z } from "zod";
import type { PortRange } from "./domain/declared-port.ts";
import { LOST_AFTER_MS, PUBLIC_PORT_REST_MS } from "./domain/limits.ts";
import { domainProblems, isPublicHost } from "./domain/public-domains.ts";
import { publicPortShare } from "./domain/public-port-share.ts";
import type { DatabaseAddress } from "./store/database.ts";

export interface ApiConfig {
  readonly database: DatabaseAddress;
  /** Where gRPC is served. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Where the same is served over HTTP. */
  readonly httpListen: { readonly host: string; readonly port: number };
  /** A directory of the api alone: holds the master key. */
  readonly stateDir: string;
  readonly operatorSocket: string;
  readonly workerSocket: string;
  readonly gatewaySocket: string;
  readonly edgeSocket: string;
  readonly connect: ConnectConfig;
  readonly tunnels: TunnelConfig;
  readonly platformId: string;
  /** A worker that was silent for so long is given up, where that needs no operator. */
  readonly lostAfterMs: number;
}

/** How sandboxes are reached by connect tokens. */
interface ConnectConfig {
  /** Their hosts are `<sandbox id>.<domain>`. */
  readonly domain: string;
  readonly port: number;
  /** Whether the platform's own authority vouches for these hosts; else edges have certificates of their own. */
  readonly isLocal: boolean;
  /** A key signs for so long. */
  readonly keyLifeMs: number;
}

/** How declared ports are reached. */
interface TunnelConfig {
  /** Their hosts are `<label>.<domain>`. */
  readonly domain: string;
  readonly port: number;
  /** Whether the platform's own authority vouches for these hosts; else edges have certificates of their own. */
  readonly isLocal: boolean;
  /** What clients of raw ports connect to: a name or an address. */
  readonly rawHost: string;
  /** Undefined: raw ports are not offered. */
  readonly rawPorts: PortRange | undefined;
  /** The most of them that one workspace has at a time, those among them that rest. */
  readonly rawPortsPerWorkspace: number;
  /** How long a raw port rests after its sandbox's end. */
  readonly rawRestMs: number;
}

const domain = z
  .string()
  .regex(/^(?=.{1,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/, {
    message: "must be a domain name in lower case",
  });
const port = intBetween(1, 65_535);

/** "20000-20999"; none when unset. */
const portRange = z.string().transform((text, context): PortRange | undefined => {
  if (text === "") return undefined;
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? [];
  if (from === undefined || Number(from) < 1 || Number(from) > Number(to) || Number(to) > 65_535) {
    context.addIssue("must be FROM-TO, e.g. 20000-20999, or unset for none");
    return z.NEVER;
  }
  return { from: Number(from), to: Number(to) };
});

const hostAndPort = z
  .string()
  .regex(/^([^\s:[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/, "must be host:port")
  .transform((text) => {
    const colon = text.lastIndexOf(":");
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, "must have a port of at most 65535");

const DAY_MS = 24 * 60 * 60 * 1_000;
const MAX_REST_MS = 7 * DAY_MS;

const SHAPE = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "must be a postgres:// URL")
    .optional(),
  SALLYPORT_DB_SOCKET_DIR: absolutePath.optional(),
  SALLYPORT_DB_NAME: z.string().default("sallyport"),
  SALLYPORT_DB_USER: z.string().default("sallyport"),
  SALLYPORT_API_LISTEN: hostAndPort.prefault("127.0.0.1:7350"),
  SALLYPORT_API_HTTP_LISTEN: hostAndPort.prefault("127.0.0.1:7352"),
  SALLYPORT_API_STATE: absolutePath,
  SALLYPORT_OPERATOR_SOCKET: absolutePath,
  SALLYPORT_WORKER_SOCKET: absolutePath,
  SALLYPORT_GATEWAY_SOCKET: absolutePath,
  SALLYPORT_EDGE_SOCKET: absolutePath,
  SALLYPORT_CONNECT_DOMAIN: domain.prefault("localhost"),
  SALLYPORT_CONNECT_PORT: port.default(7_443),
  // Only whether there are any counts here; edges read them.
  SALLYPORT_CONNECT_CERT: absolutePath.optional(),
  SALLYPORT_CONNECT_KEY_DAYS: z
    .string()
    .regex(/^\d{1,3}$/, "must be a number of days")
    .transform(Number)
    .refine((days) => days >= 1 && days <= 365, "must be 1 to 365")
    .prefault("30"),
  SALLYPORT_TUNNEL_DOMAIN: domain.prefault("localhost"),
  SALLYPORT_TUNNEL_PORT: port.default(7_443),
  SALLYPORT_TUNNEL_CERT: absolutePath.optional(),
  SALLYPORT_TUNNEL_RAW_HOST: z
    .string()
    .regex(/^[a-z0-9:]([a-z0-9.:-]{0,251}[a-z0-9:])?$/, "must be a host name in lower case or an IP address")
    .refine(isPublicHost, "must be a host name in lower case, or an IP address as it is always written")
    .prefault("127.0.0.2"),
  SALLYPORT_TUNNEL_RAW_PORTS: portRange.prefault(""),
  /** A part of them when unset: {@link publicPortShare}. */
  SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE: intBetween(0, 65_535).optional(),
  SALLYPORT_TUNNEL_RAW_REST_MS: intBetween(0, MAX_REST_MS).default(PUBLIC_PORT_REST_MS),
  SALLYPORT_LOST_AFTER_MS: z
    .string()
    .regex(/^\d{5,9}$/, "must be a number of milliseconds, at least 10000")
    .transform(Number)
    .prefault(String(LOST_AFTER_MS)),
  SALLYPORT_PLATFORM_ID: z.string().regex(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a lower-case ULID"),
};

/** Reads the environment. Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): ApiConfig {
  const values = readEnv(SHAPE, env);
  const names = { connect: values.SALLYPORT_CONNECT_DOMAIN, tunnels: values.SALLYPORT_TUNNEL_DOMAIN };
  const problems = domainProblems({ ...names, rawHost: values.SALLYPORT_TUNNEL_RAW_HOST });
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze({
    database: databaseOf(values),
    listen: values.SALLYPORT_API_LISTEN,
    httpListen: values.SALLYPORT_API_HTTP_LISTEN,
    stateDir: values.SALLYPORT_API_STATE,
    operatorSocket: values.SALLYPORT_OPERATOR_SOCKET,
    workerSocket: values.SALLYPORT_WORKER_SOCKET,
    gatewaySocket: values.SALLYPORT_GATEWAY_SOCKET,
    edgeSocket: values.SALLYPORT_EDGE_SOCKET,
    connect: Object.freeze({
      domain: values.SALLYPORT_CONNECT_DOMAIN,
      port: values.SALLYPORT_CONNECT_PORT,
      isLocal: values.SALLYPORT_CONNECT_CERT === undefined,
      keyLifeMs: values.SALLYPORT_CONNECT_KEY_DAYS * DAY_MS,
    }),
    tunnels: Object.freeze({
      domain: values.SALLYPORT_TUNNEL_DOMAIN,
      port: values.SALLYPORT_TUNNEL_PORT,
      isLocal: values.SALLYPORT_TUNNEL_CERT === undefined,
      rawHost: values.SALLYPORT_TUNNEL_RAW_HOST,
      rawPorts: values.SALLYPORT_TUNNEL_RAW_PORTS,
      rawPortsPerWorkspace:
        values.SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE ?? publicPortShare(values.SALLYPORT_TUNNEL_RAW_PORTS),
      rawRestMs: values.SALLYPORT_TUNNEL_RAW_REST_MS,
    }),
    platformId: values.SALLYPORT_PLATFORM_ID,
    lostAfterMs: values.SALLYPORT_LOST_AFTER_MS,
  });
}

function databaseOf(values: {
  readonly DATABASE_URL?: string | undefined;
  readonly SALLYPORT_DB_SOCKET_DIR?: string | undefined;
  readonly SALLYPORT_DB_NAME: string;
  readonly SALLYPORT_DB_USER: string;
}): DatabaseAddress {
  const { DATABASE_URL: url, SALLYPORT_DB_SOCKET_DIR: socketDir } = values;
  if (url !== undefined && socketDir === undefined) return { kind: "url", url };
  if (socketDir !== undefined && url === undefined) {
    return { kind: "socket", socketDir, name: values.SALLYPORT_DB_NAME, user: values.SALLYPORT_DB_USER };
  }
  throw new ConfigError(["DATABASE_URL, SALLYPORT_DB_SOCKET_DIR: set exactly one of them"]);
}
