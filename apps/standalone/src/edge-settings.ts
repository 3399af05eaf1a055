// Settings of the edges: what they listen at, which names are theirs, and what is handed on to them and to the api.
import { isIP } from "node:net";
import { absolutePath, ConfigError, intBetween } from "@sallyport/appkit/env";
import { DEFAULT_RAW_PLACE } from "@sallyport/host";
import { z } from "zod";
import type { Address } from "./addresses.ts";
import { addressText, isSamePlace, listenList, loopback } from "./addresses.ts";

const MAX_PROCESSES = 32;
const DEFAULT_PORT = 7443;
const port = intBetween(1, 65_535);
/** Of the first process; the others have the ports behind it. */
const metricsPort = intBetween(1, 65_535 - MAX_PROCESSES).optional();
const drainMs = intBetween(0, 3_600_000).default(5_000);
const processes = intBetween(1, MAX_PROCESSES).default(1);

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** "20000-20999". */
export function rangeText({ from, to }: PortRange): string {
  return `${from}-${to}`;
}

const portRange = z.string().transform((text, context): PortRange => {
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? [];
  if (from === undefined || Number(from) < 1 || Number(from) > Number(to) || Number(to) > 65_535) {
    context.addIssue("must be FROM-TO, e.g. 20000-20999");
    return z.NEVER;
  }
  return { from: Number(from), to: Number(to) };
});
const address = z.string().refine((text) => isIP(text) !== 0 && text !== "0.0.0.0" && text !== "::", {
  error: "must be one IP address of this machine",
});

export const EDGE_SHAPE = {
  /** Where the tunnel-edge serves tunnels, and takes what is for connect tokens. Loopback alone when unset, over IPv6 where there is any. */
  SALLYPORT_TUNNEL_LISTEN: listenList.optional(),
  /** Processes of the tunnel-edge that share these addresses. */
  SALLYPORT_TUNNEL_PROCESSES: processes,
  /** Below which tunnels have their hosts; told to the api and to the tunnel-edge. */
  SALLYPORT_TUNNEL_DOMAIN: z.string().default("localhost"),
  /** The port of tunnels' URLs. That of SALLYPORT_TUNNEL_LISTEN when unset. */
  SALLYPORT_TUNNEL_PORT: port.optional(),
  /** Certificate chain (PEM) for `*.<domain>`, and its key, instead of those of the platform's own authority. */
  SALLYPORT_TUNNEL_CERT: absolutePath.optional(),
  SALLYPORT_TUNNEL_KEY: absolutePath.optional(),
  /** Where raw ports are. Cookies know no ports: no name of a connect, tunnel, console or api host may lead there. */
  SALLYPORT_TUNNEL_RAW_ADDRESS: address.default(DEFAULT_RAW_PLACE.address),
  /** What clients of raw ports connect to. The address when unset. */
  SALLYPORT_TUNNEL_RAW_HOST: z.string().min(1).max(253).optional(),
  /** Which ports raw ones are given out of. */
  SALLYPORT_TUNNEL_RAW_PORTS: portRange.prefault(rangeText(DEFAULT_RAW_PLACE.ports)),
  /** Handed on to the api: how many public ports one workspace has at most, and how long one rests, in milliseconds. */
  SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE: z.string().optional(),
  SALLYPORT_TUNNEL_RAW_REST_MS: z.string().optional(),
  /** How long connections may take to end when a tunnel-edge stops. */
  SALLYPORT_TUNNEL_DRAIN_MS: drainMs,
  /** A port of the loopback at which metrics are read. */
  SALLYPORT_TUNNEL_METRICS_PORT: metricsPort,
  /** Where the connect-proxy listens itself, beside what the tunnel-edge hands over to it. Nowhere when unset. */
  SALLYPORT_CONNECT_LISTEN: listenList.optional(),
  /** Processes of the connect-proxy. */
  SALLYPORT_CONNECT_PROCESSES: processes,
  /** Below which sandboxes have their hosts; told to the api and to both edges. */
  SALLYPORT_CONNECT_DOMAIN: z.string().default("localhost"),
  /** The port of the URLs that the api gives out. That of SALLYPORT_CONNECT_LISTEN, or else of the tunnels, when unset. */
  SALLYPORT_CONNECT_PORT: port.optional(),
  SALLYPORT_CONNECT_CERT: absolutePath.optional(),
  SALLYPORT_CONNECT_KEY: absolutePath.optional(),
  /** How long requests under way may take to end when a connect-proxy stops. */
  SALLYPORT_CONNECT_DRAIN_MS: drainMs,
  SALLYPORT_CONNECT_METRICS_PORT: metricsPort,
  /** Handed on to the api. */
  SALLYPORT_CONNECT_KEY_DAYS: z.string().optional(),
} as const;

type EdgeEnv = Readonly<z.output<z.ZodObject<typeof EDGE_SHAPE>>>;
type Env = Readonly<Record<string, string | undefined>>;

/** What both kinds of edge have. */
export interface EdgeSettings {
  /** All of one port. */
  readonly listen: readonly Address[];
  readonly processes: number;
  /** How long a process may take to let connections end. */
  readonly drainMs: number;
  readonly domain: string;
  /** Of the URLs. */
  readonly port: number;
  /** Of the first process's metrics. */
  readonly metricsPort: number | undefined;
  readonly certificate: { readonly chain: string; readonly key: string } | undefined;
  /** Other settings of the edge by their names, which are checked there. */
  readonly ownSettings: Readonly<Record<string, string>>;
  /** Settings of the api by their names, where they are set. */
  readonly apiSettings: Readonly<Record<string, string>>;
}

/** What makes ports of sandboxes reachable. */
export interface TunnelSettings extends EdgeSettings {
  readonly rawAddress: string;
  readonly rawHost: string;
  readonly rawPorts: PortRange;
}

/** Puts the settings of both edges together. Throws ConfigError with all that does not fit. */
export function edgeSettings(
  raw: EdgeEnv,
  env: Env,
  others: readonly Address[],
): { connect: EdgeSettings; tunnel: TunnelSettings } {
  const tunnelListen = raw.SALLYPORT_TUNNEL_LISTEN ?? loopback(DEFAULT_PORT);
  const tunnelPort = raw.SALLYPORT_TUNNEL_PORT ?? portOf(tunnelListen) ?? DEFAULT_PORT;
  const connectListen = raw.SALLYPORT_CONNECT_LISTEN ?? [];
  const tunnel: TunnelSettings = {
    listen: tunnelListen,
    processes: raw.SALLYPORT_TUNNEL_PROCESSES,
    drainMs: raw.SALLYPORT_TUNNEL_DRAIN_MS,
    domain: raw.SALLYPORT_TUNNEL_DOMAIN,
    port: tunnelPort,
    metricsPort: raw.SALLYPORT_TUNNEL_METRICS_PORT,
    certificate: pair(raw.SALLYPORT_TUNNEL_CERT, raw.SALLYPORT_TUNNEL_KEY),
    ownSettings: othersOf("SALLYPORT_TUNNEL_", env),
    apiSettings: given({
      SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE: raw.SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE,
      SALLYPORT_TUNNEL_RAW_REST_MS: raw.SALLYPORT_TUNNEL_RAW_REST_MS,
    }),
    rawAddress: raw.SALLYPORT_TUNNEL_RAW_ADDRESS,
    rawHost: raw.SALLYPORT_TUNNEL_RAW_HOST ?? raw.SALLYPORT_TUNNEL_RAW_ADDRESS,
    rawPorts: raw.SALLYPORT_TUNNEL_RAW_PORTS,
  };
  const connect: EdgeSettings = {
    listen: connectListen,
    processes: raw.SALLYPORT_CONNECT_PROCESSES,
    drainMs: raw.SALLYPORT_CONNECT_DRAIN_MS,
    domain: raw.SALLYPORT_CONNECT_DOMAIN,
    port: raw.SALLYPORT_CONNECT_PORT ?? portOf(connectListen) ?? tunnelPort,
    metricsPort: raw.SALLYPORT_CONNECT_METRICS_PORT,
    certificate: pair(raw.SALLYPORT_CONNECT_CERT, raw.SALLYPORT_CONNECT_KEY),
    ownSettings: othersOf("SALLYPORT_CONNECT_", env),
    apiSettings: given({ SALLYPORT_CONNECT_KEY_DAYS: raw.SALLYPORT_CONNECT_KEY_DAYS }),
  };
  const problems = [
    ...halfAPair("SALLYPORT_TUNNEL", raw.SALLYPORT_TUNNEL_CERT, raw.SALLYPORT_TUNNEL_KEY),
    ...halfAPair("SALLYPORT_CONNECT", raw.SALLYPORT_CONNECT_CERT, raw.SALLYPORT_CONNECT_KEY),
    ...domainProblems(connect.domain, tunnel.domain, tunnel.rawHost),
    ...placeProblems(connect, tunnel, others),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
  return { connect, tunnel };
}

/** Law of sibling origins: a page of a tunnel must not be able to set cookies for connect hosts, or the other way round. */
function domainProblems(connect: string, tunnel: string, rawHost: string): string[] {
  const problems: string[] = [];
  const isBelow = (name: string, domain: string) => name === domain || name.endsWith(`.${domain}`);
  // Each name below localhost is a registrable domain of its own.
  const areBothLocal = connect === "localhost" && tunnel === "localhost";
  if (!areBothLocal && (isBelow(connect, tunnel) || isBelow(tunnel, connect))) {
    problems.push(
      `SALLYPORT_TUNNEL_DOMAIN, SALLYPORT_CONNECT_DOMAIN: ${tunnel} and ${connect} share cookies; name two domains that are registered apart`,
    );
  }
  for (const [name, domain] of [
    ["TUNNEL", tunnel],
    ["CONNECT", connect],
  ] as const) {
    if (!isBelow(rawHost, domain)) continue;
    problems.push(`SALLYPORT_TUNNEL_RAW_HOST: ${rawHost} is of SALLYPORT_${name}_DOMAIN, whose cookies it would get`);
  }
  return problems;
}

function placeProblems(connect: EdgeSettings, tunnel: TunnelSettings, others: readonly Address[]): string[] {
  const problems: string[] = [];
  for (const one of connect.listen) {
    if (tunnel.listen.some((other) => isSamePlace(one, other))) {
      problems.push(
        `SALLYPORT_CONNECT_LISTEN: ${addressText(one)} is the tunnel-edge's (SALLYPORT_TUNNEL_LISTEN), which hands connect hosts over: leave it unset, or name another port`,
      );
    }
  }
  const all = [...tunnel.listen, ...connect.listen, ...others];
  if (all.some(({ host }) => host === tunnel.rawAddress)) {
    problems.push(
      `SALLYPORT_TUNNEL_RAW_ADDRESS: ${tunnel.rawAddress} is where other parts listen; cookies know no ports`,
    );
  }
  const { from, to } = tunnel.rawPorts;
  const taken = all.find(
    (one) => one.port >= from && one.port <= to && isSamePlace(one, { host: tunnel.rawAddress, port: one.port }),
  );
  if (taken !== undefined) {
    problems.push(`SALLYPORT_TUNNEL_RAW_PORTS: ${addressText(taken)} is another part's`);
  }
  return problems;
}

function halfAPair(prefix: string, chain: string | undefined, key: string | undefined): string[] {
  const isWhole = (chain === undefined) === (key === undefined);
  return isWhole ? [] : [`${prefix}_CERT, ${prefix}_KEY: set both of them, or neither`];
}

function pair(chain: string | undefined, key: string | undefined): EdgeSettings["certificate"] {
  return chain === undefined || key === undefined ? undefined : { chain, key };
}

function portOf([first]: readonly Address[]): number | undefined {
  return first?.port;
}

/** Those that are set. */
export function given(settings: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Everything else that begins so is the edge's own. */
function othersOf(prefix: string, env: Env): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value !== undefined && name.startsWith(prefix) && !(name in EDGE_SHAPE) ? [[name, value]] : [],
    ),
  );
}
