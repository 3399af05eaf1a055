// The supervisor's settings, from the environment.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { absolutePath, ConfigError, intBetween, readEnv } from "@sallyport/appkit/env";
import { DEFAULT_CACHE, DEFAULT_HOME, DEFAULT_OPT } from "@sallyport/host";
import { z } from "zod";

const listen = z.string().transform((text, context) => {
  const match = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(text);
  const [, host, port] = match ?? [];
  if (host === undefined || isIP(host) === 0 || Number(port) > 65_535) {
    context.addIssue("must be ADDRESS:PORT, e.g. 127.0.0.1:7350");
    return z.NEVER;
  }
  return { host, port: Number(port) };
});

/** Some of those, separated by commas. */
const listenList = z.string().transform((text, context) => {
  const addresses = text.split(",").map((one) => listen.safeParse(one.trim()).data);
  const [first] = addresses;
  if (first === undefined || !addresses.every((one) => one?.port === first.port)) {
    context.addIssue(
      "must be ADDRESS:PORT, several separated by commas and with one port, e.g. 127.0.0.1:7443,[::1]:7443",
    );
    return z.NEVER;
  }
  return addresses.flatMap((one) => one ?? []);
});

const MAX_CONNECT_PROCESSES = 32;

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
  /** Where the connect-proxy serves sandboxes over HTTPS. Loopback alone when unset, over IPv6 where there is any. */
  SALLYPORT_CONNECT_LISTEN: listenList.optional(),
  /** Processes of the connect-proxy that share these addresses. */
  SALLYPORT_CONNECT_PROCESSES: intBetween(1, MAX_CONNECT_PROCESSES).default(1),
  /** Below which sandboxes have their hosts; told to the api and to the connect-proxy. */
  SALLYPORT_CONNECT_DOMAIN: z.string().default("localhost"),
  /** The port of the URLs that the api gives out. That of SALLYPORT_CONNECT_LISTEN when unset. */
  SALLYPORT_CONNECT_PORT: intBetween(1, 65_535).optional(),
  /** Certificate chain (PEM) for `*.<domain>`, and its key, instead of those of the platform's own authority. */
  SALLYPORT_CONNECT_CERT: absolutePath.optional(),
  SALLYPORT_CONNECT_KEY: absolutePath.optional(),
  /** How long requests under way may take to end when a connect-proxy stops. */
  SALLYPORT_CONNECT_DRAIN_MS: intBetween(0, 3_600_000).default(5_000),
  /** A port of the loopback at which the metrics of the first process are read; the others have the ports behind it. */
  SALLYPORT_CONNECT_METRICS_PORT: intBetween(1, 65_535 - MAX_CONNECT_PROCESSES).optional(),
  /** Handed on to the api. */
  SALLYPORT_CONNECT_KEY_DAYS: z.string().optional(),
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

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface StandaloneConfig {
  readonly home: string;
  readonly opt: string;
  readonly cache: string;
  readonly apiListen: Address;
  readonly ioListen: Address;
  readonly apiHttpListen: Address;
  readonly ioHttpListen: Address;
  readonly connect: ConnectSettings;
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

/** What makes sandboxes reachable by connect tokens. */
interface ConnectSettings {
  /** All of one port. */
  readonly listen: readonly Address[];
  readonly processes: number;
  /** How long a process may take to let requests end. */
  readonly drainMs: number;
  readonly domain: string;
  /** Of the URLs. */
  readonly port: number;
  /** Of the first process's metrics. */
  readonly metricsPort: number | undefined;
  readonly certificate: { readonly chain: string; readonly key: string } | undefined;
  /** Settings of the api by their names, where they are set. */
  readonly apiSettings: Readonly<Record<string, string>>;
  /** Those of the connect-proxy. */
  readonly proxySettings: Readonly<Record<string, string>>;
}

const DEFAULT_CONNECT_PORT = 7443;

/** Reads and checks the settings. Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): StandaloneConfig {
  const raw = readEnv(SHAPE, env);
  return Object.freeze({
    home: raw.SALLYPORT_HOME,
    opt: raw.SALLYPORT_OPT,
    cache: raw.SALLYPORT_CACHE,
    apiListen: raw.SALLYPORT_API_LISTEN,
    ioListen: raw.SALLYPORT_IO_LISTEN,
    apiHttpListen: raw.SALLYPORT_API_HTTP_LISTEN,
    ioHttpListen: raw.SALLYPORT_IO_HTTP_LISTEN,
    connect: connectSettings(raw, env),
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

/** Everything else that begins so is the connect-proxy's own, and checked there. */
const CONNECT_SETTINGS = new Set<string>(Object.keys(SHAPE).filter((name) => name.startsWith("SALLYPORT_CONNECT_")));

function connectSettings(
  raw: ReturnType<typeof readEnv<typeof SHAPE>>,
  env: Readonly<Record<string, string | undefined>>,
): ConnectSettings {
  const { SALLYPORT_CONNECT_CERT: chain, SALLYPORT_CONNECT_KEY: key, SALLYPORT_CONNECT_LISTEN: addresses } = raw;
  if ((chain === undefined) !== (key === undefined)) {
    throw new ConfigError(["SALLYPORT_CONNECT_CERT, SALLYPORT_CONNECT_KEY: set both of them, or neither"]);
  }
  const listen = addresses ?? loopback(DEFAULT_CONNECT_PORT);
  const others = Object.entries(env).filter(
    ([name]) => name.startsWith("SALLYPORT_CONNECT_") && !CONNECT_SETTINGS.has(name),
  );
  return {
    listen,
    processes: raw.SALLYPORT_CONNECT_PROCESSES,
    drainMs: raw.SALLYPORT_CONNECT_DRAIN_MS,
    metricsPort: raw.SALLYPORT_CONNECT_METRICS_PORT,
    domain: raw.SALLYPORT_CONNECT_DOMAIN,
    port: raw.SALLYPORT_CONNECT_PORT ?? listen[0]?.port ?? DEFAULT_CONNECT_PORT,
    certificate: chain === undefined || key === undefined ? undefined : { chain, key },
    apiSettings: given({ SALLYPORT_CONNECT_KEY_DAYS: raw.SALLYPORT_CONNECT_KEY_DAYS }),
    proxySettings: given(Object.fromEntries(others)),
  };
}

/** Loopback, of IPv6 too where the machine has one. */
function loopback(port: number): Address[] {
  const hasV6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));
  return hasV6
    ? [
        { host: "127.0.0.1", port },
        { host: "::1", port },
      ]
    : [{ host: "127.0.0.1", port }];
}

function isOfResolver(setting: readonly [name: string, value: unknown]): setting is [string, string | undefined] {
  return setting[0].startsWith("SALLYPORT_DNS_");
}

/** Those that are set. */
function given(settings: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** "127.0.0.1:7350", "[::1]:7350". */
export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
