// The supervisor's settings, from the environment.
import { absolutePath, readEnv } from "@sallyport/appkit/env";
import { DEFAULT_CACHE, DEFAULT_HOME, DEFAULT_OPT } from "@sallyport/host";
import { z } from "zod";
import type { Address } from "./addresses.ts";
import { listen } from "./addresses.ts";
import type { EdgeSettings, TunnelSettings } from "./edge-settings.ts";
import { EDGE_SHAPE, edgeSettings, given } from "./edge-settings.ts";

const SHAPE = {
  SALLYPORT_HOME: absolutePath.default(DEFAULT_HOME),
  SALLYPORT_OPT: absolutePath.default(DEFAULT_OPT),
  SALLYPORT_CACHE: absolutePath.default(DEFAULT_CACHE),
  /** Where the api answers SDK and CLI. */
  SALLYPORT_API_LISTEN: listen.default({ host: "127.0.0.1", port: 7350 }),
  /** Where the gateway serves SandboxIO. */
  SALLYPORT_IO_LISTEN: listen.default({ host: "127.0.0.1", port: 7351 }),
  /** Where the api answers over HTTP. */
  SALLYPORT_API_HTTP_LISTEN: listen.default({ host: "127.0.0.1", port: 7352 }),
  /** Where the gateway serves SandboxIO over HTTP. */
  SALLYPORT_IO_HTTP_LISTEN: listen.default({ host: "127.0.0.1", port: 7353 }),
  ...EDGE_SHAPE,
  /** An existing PostgreSQL instead of the embedded one. */
  DATABASE_URL: z.string().optional(),
  /** Registries, separated by commas, that are spoken to in plain HTTP. */
  SALLYPORT_INSECURE_REGISTRIES: z.string().default(""),
  /** Overrides for tests and special machines. */
  SALLYPORT_NFT_HELPER: absolutePath.optional(),
  /** Handed on to the worker, whose defaults hold where they are unset. */
  SALLYPORT_MAX_INSTANCES: z.string().optional(),
  SALLYPORT_CPU_OVERCOMMIT: z.string().optional(),
  SALLYPORT_MEMORY_OVERCOMMIT: z.string().optional(),
  SALLYPORT_WARM_POOL: z.string().optional(),
  SALLYPORT_DISK_RESERVE_MIB: z.string().optional(),
  SALLYPORT_DISK_OVERCOMMIT: z.string().optional(),
  SALLYPORT_SLOT_POOL: z.string().optional(),
  SALLYPORT_SLOT_CONNECTIONS: z.string().optional(),
  SALLYPORT_SLOT_NEW_CONNECTIONS_PER_SECOND: z.string().optional(),
  SALLYPORT_SLOT_PACKETS_PER_SECOND: z.string().optional(),
  SALLYPORT_SLOT_BANDWIDTH_MBIT: z.string().optional(),
  /** Handed on to the resolver, the first one to the worker as well. */
  SALLYPORT_DNS_QUERIES_PER_SECOND: z.string().optional(),
  SALLYPORT_DNS_UPSTREAM: z.string().optional(),
  SALLYPORT_DNS_RESOLV_CONF: z.string().optional(),
  SALLYPORT_DNS_BURST: z.string().optional(),
  SALLYPORT_DNS_IN_FLIGHT: z.string().optional(),
  SALLYPORT_DNS_WAITING: z.string().optional(),
  SALLYPORT_DNS_IN_FLIGHT_TOTAL: z.string().optional(),
  SALLYPORT_DNS_CACHE_KIB: z.string().optional(),
  SALLYPORT_DNS_SLOT_CACHE_KIB: z.string().optional(),
  SALLYPORT_DNS_TIMEOUT_MS: z.string().optional(),
  SALLYPORT_DNS_TCP_CONNECTIONS: z.string().optional(),
  SALLYPORT_DNS_TCP_CONNECTIONS_TOTAL: z.string().optional(),
  SALLYPORT_DNS_TCP_IDLE_MS: z.string().optional(),
  SALLYPORT_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  /** "1": end whatever a platform of this home left running, then exit. */
  SALLYPORT_DOWN: z.enum(["0", "1"]).default("0"),
};

export interface StandaloneConfig {
  readonly home: string;
  readonly opt: string;
  readonly cache: string;
  readonly apiListen: Address;
  readonly ioListen: Address;
  readonly apiHttpListen: Address;
  readonly ioHttpListen: Address;
  readonly connect: EdgeSettings;
  readonly tunnel: TunnelSettings;
  readonly databaseUrl: string | undefined;
  readonly insecureRegistries: string;
  readonly nftHelper: string | undefined;
  /** Settings of the worker by their names, where they are set. */
  readonly workerSettings: Readonly<Record<string, string>>;
  /** Those of the resolver. */
  readonly resolverSettings: Readonly<Record<string, string>>;
  readonly logLevel: string;
  readonly down: boolean;
}

/** Reads and checks the settings. Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): StandaloneConfig {
  const raw = readEnv(SHAPE, env);
  const { SALLYPORT_API_LISTEN: api, SALLYPORT_IO_LISTEN: io } = raw;
  const { SALLYPORT_API_HTTP_LISTEN: apiHttp, SALLYPORT_IO_HTTP_LISTEN: ioHttp } = raw;
  return Object.freeze({
    home: raw.SALLYPORT_HOME,
    opt: raw.SALLYPORT_OPT,
    cache: raw.SALLYPORT_CACHE,
    apiListen: api,
    ioListen: io,
    apiHttpListen: apiHttp,
    ioHttpListen: ioHttp,
    ...edgeSettings(raw, env, [api, io, apiHttp, ioHttp]),
    databaseUrl: raw.DATABASE_URL,
    insecureRegistries: raw.SALLYPORT_INSECURE_REGISTRIES,
    nftHelper: raw.SALLYPORT_NFT_HELPER,
    workerSettings: given({
      SALLYPORT_MAX_INSTANCES: raw.SALLYPORT_MAX_INSTANCES,
      SALLYPORT_CPU_OVERCOMMIT: raw.SALLYPORT_CPU_OVERCOMMIT,
      SALLYPORT_MEMORY_OVERCOMMIT: raw.SALLYPORT_MEMORY_OVERCOMMIT,
      SALLYPORT_WARM_POOL: raw.SALLYPORT_WARM_POOL,
      SALLYPORT_DISK_RESERVE_MIB: raw.SALLYPORT_DISK_RESERVE_MIB,
      SALLYPORT_DISK_OVERCOMMIT: raw.SALLYPORT_DISK_OVERCOMMIT,
      SALLYPORT_SLOT_POOL: raw.SALLYPORT_SLOT_POOL,
      SALLYPORT_SLOT_CONNECTIONS: raw.SALLYPORT_SLOT_CONNECTIONS,
      SALLYPORT_SLOT_NEW_CONNECTIONS_PER_SECOND: raw.SALLYPORT_SLOT_NEW_CONNECTIONS_PER_SECOND,
      SALLYPORT_SLOT_PACKETS_PER_SECOND: raw.SALLYPORT_SLOT_PACKETS_PER_SECOND,
      SALLYPORT_SLOT_BANDWIDTH_MBIT: raw.SALLYPORT_SLOT_BANDWIDTH_MBIT,
      SALLYPORT_DNS_QUERIES_PER_SECOND: raw.SALLYPORT_DNS_QUERIES_PER_SECOND,
    }),
    resolverSettings: given(Object.fromEntries(Object.entries(raw).filter(isOfResolver))),
    logLevel: raw.SALLYPORT_LOG_LEVEL,
    down: raw.SALLYPORT_DOWN === "1",
  });
}

function isOfResolver(setting: readonly [name: string, value: unknown]): setting is [string, string | undefined] {
  return setting[0].startsWith("SALLYPORT_DNS_");
}
