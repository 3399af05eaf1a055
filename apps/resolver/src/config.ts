// The resolver's settings: environment in, frozen values out.
import { absolutePath, intBetween, readEnv } from "@sallyport/appkit/env";
import { z } from "zod";
import type { TcpLimits } from "./tcp.ts";
import { parseServer, type Server } from "./upstream/servers.ts";

export interface ResolverConfig {
  /** Descriptors of sockets that are bound: UDP over IPv4, UDP over IPv6, TCP over IPv4, TCP over IPv6. */
  readonly sockets: readonly [number, number, number, number];
  /** Whom to ask. Those of `resolvConf` when unset. */
  readonly upstream: readonly Server[] | undefined;
  readonly resolvConf: string;
  /** Where the worker writes the addresses of the fleet's machines, as CIDRs. */
  readonly fleetFile: string | undefined;
  readonly limits: ResolverLimits;
}

interface ResolverLimits {
  /** Of one asker. */
  readonly queriesPerSecond: number;
  readonly burst: number;
  /** Questions to the host's resolvers at once, for one asker, and in all; those of one asker that may wait beside. */
  readonly inFlight: number;
  readonly inFlightTotal: number;
  readonly waiting: number;
  readonly cacheBytes: number;
  readonly cacheBytesPerSlot: number;
  /** How long one of the host's resolvers has to answer. */
  readonly timeoutMs: number;
  readonly tcp: TcpLimits;
}

const KIB = 1024;

const sockets = z.string().transform((text, context) => {
  const numbers = /^\d{1,6}(,\d{1,6}){3}$/.test(text) ? text.split(",").map(Number) : [];
  const [udp4, udp6, tcp4, tcp6] = numbers;
  if (udp4 === undefined || udp6 === undefined || tcp4 === undefined || tcp6 === undefined) {
    context.addIssue("must be four descriptors, as sallyport-resolver-sockets sets it");
    return z.NEVER;
  }
  return [udp4, udp6, tcp4, tcp6] as const;
});

const servers = z.string().transform((text, context) => {
  const found = text.split(",").map((one) => parseServer(one.trim()));
  if (!found.every((one) => one !== undefined)) {
    context.addIssue(
      "must be addresses with or without port, separated by commas, e.g. 198.51.100.53,[2001:db8::53]:5353",
    );
    return z.NEVER;
  }
  return found;
});

const SHAPE = {
  SALLYPORT_RESOLVER_SOCKETS: sockets,
  /** The resolvers to ask instead of the host's own. */
  SALLYPORT_DNS_UPSTREAM: servers.optional(),
  SALLYPORT_DNS_RESOLV_CONF: absolutePath.default("/etc/resolv.conf"),
  SALLYPORT_FLEET_FILE: absolutePath.optional(),
  /** One sandbox's, on average, and after a rest. The worker reads the first one too. */
  SALLYPORT_DNS_QUERIES_PER_SECOND: intBetween(1, 100_000).default(100),
  SALLYPORT_DNS_BURST: intBetween(1, 100_000).default(200),
  /** Questions under way at once: one sandbox's, those of it that wait beside, all of them. */
  SALLYPORT_DNS_IN_FLIGHT: intBetween(1, 10_000).default(32),
  SALLYPORT_DNS_WAITING: intBetween(1, 10_000).default(256),
  SALLYPORT_DNS_IN_FLIGHT_TOTAL: intBetween(1, 10_000).default(1_024),
  SALLYPORT_DNS_CACHE_KIB: intBetween(0, 16_777_216).default(32_768),
  SALLYPORT_DNS_SLOT_CACHE_KIB: intBetween(0, 1_048_576).default(256),
  SALLYPORT_DNS_TIMEOUT_MS: intBetween(50, 30_000).default(1_500),
  /** Connections: one sandbox's, and all of them in each family. */
  SALLYPORT_DNS_TCP_CONNECTIONS: intBetween(1, 10_000).default(8),
  SALLYPORT_DNS_TCP_CONNECTIONS_TOTAL: intBetween(1, 10_000).default(1_024),
  SALLYPORT_DNS_TCP_IDLE_MS: intBetween(100, 600_000).default(10_000),
};

/** Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): ResolverConfig {
  const values = readEnv(SHAPE, env);
  return Object.freeze({
    sockets: values.SALLYPORT_RESOLVER_SOCKETS,
    upstream: values.SALLYPORT_DNS_UPSTREAM,
    resolvConf: values.SALLYPORT_DNS_RESOLV_CONF,
    fleetFile: values.SALLYPORT_FLEET_FILE,
    limits: Object.freeze({
      queriesPerSecond: values.SALLYPORT_DNS_QUERIES_PER_SECOND,
      burst: values.SALLYPORT_DNS_BURST,
      inFlight: values.SALLYPORT_DNS_IN_FLIGHT,
      inFlightTotal: values.SALLYPORT_DNS_IN_FLIGHT_TOTAL,
      waiting: values.SALLYPORT_DNS_WAITING,
      cacheBytes: values.SALLYPORT_DNS_CACHE_KIB * KIB,
      cacheBytesPerSlot: values.SALLYPORT_DNS_SLOT_CACHE_KIB * KIB,
      timeoutMs: values.SALLYPORT_DNS_TIMEOUT_MS,
      tcp: Object.freeze({
        perClient: values.SALLYPORT_DNS_TCP_CONNECTIONS,
        total: values.SALLYPORT_DNS_TCP_CONNECTIONS_TOTAL,
        idleMs: values.SALLYPORT_DNS_TCP_IDLE_MS,
      }),
    }),
  });
}
