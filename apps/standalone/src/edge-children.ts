// The edges as children: what strangers talk to, each with a user of its own, in the host's network.
import { join } from "node:path";
import type { ChildOptions } from "./child.ts";
import type { ChildrenContext } from "./children.ts";
import { child, program } from "./children.ts";
import type { EdgeSettings } from "./edge-settings.ts";
import { rangeText } from "./edge-settings.ts";
import type { KeptSocketOptions } from "./kept-sockets.ts";
import { unprivileged } from "./unprivileged.ts";

/** What an edge may take to stop beyond the time that it gives to connections. */
const STOP_MARGIN_MS = 4_000;

/**
 * Thousands of connections that come at once make V8 enlarge its space for new objects to several times what it begins
 * with, and it keeps that: of ten thousand idle ones over TLS it was a quarter of all memory. bench/ starts the edge alike.
 */
const TUNNEL_EDGE_FLAGS = ["--max-semi-space-size=4"] as const;

/** What strangers with connect tokens talk to. One of several processes. */
export function connectProxyChild(context: ChildrenContext, index: number): ChildOptions {
  const { config, paths, users } = context;
  return edgeChild(context, index, {
    name: "connect-proxy",
    prefix: "SALLYPORT_CONNECT",
    settings: config.connect,
    user: users.connectProxy.name,
    state: paths.home.connectProxy,
    flags: [],
    env: { SALLYPORT_CONNECT_HANDOVER: "true" },
    kept: [
      {
        name: "handover",
        path: handOverSocket(context, index),
        uid: users.connectProxy.uid,
        gid: users.tunnelEdge.gid,
      },
    ],
  });
}

/** What clients of tunnels talk to, and others first: it hands over what is the connect-proxy's. One of several processes. */
export function tunnelEdgeChild(context: ChildrenContext, index: number): ChildOptions {
  const { config, paths, users } = context;
  const { port, processes, rawAddress, rawPorts } = config.tunnel;
  const sockets = Array.from({ length: config.connect.processes }, (_, proxy) => handOverSocket(context, proxy));
  return edgeChild(context, index, {
    name: "tunnel-edge",
    prefix: "SALLYPORT_TUNNEL",
    settings: config.tunnel,
    user: users.tunnelEdge.name,
    state: paths.home.tunnelEdge,
    flags: TUNNEL_EDGE_FLAGS,
    env: {
      SALLYPORT_TUNNEL_PORT: String(port),
      SALLYPORT_TUNNEL_PROCESSES: String(processes),
      SALLYPORT_TUNNEL_CONNECT_DOMAIN: config.connect.domain,
      SALLYPORT_TUNNEL_CONNECT_SOCKETS: sockets.join(","),
      SALLYPORT_TUNNEL_RAW_ADDRESS: rawAddress,
      SALLYPORT_TUNNEL_RAW_PORTS: rangeText(rawPorts),
    },
    kept: [],
  });
}

interface EdgeKind {
  readonly name: string;
  /** Of the names of its settings. */
  readonly prefix: string;
  readonly settings: EdgeSettings;
  readonly user: string;
  readonly state: string;
  /** Of Node. */
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly kept: readonly KeptSocketOptions[];
}

function edgeChild(context: ChildrenContext, index: number, kind: EdgeKind): ChildOptions {
  const { descriptors, paths, platformId } = context;
  const { name, prefix, settings } = kind;
  const { certificate, domain, drainMs, listen, metricsPort, ownSettings, processes } = settings;
  return child(context, index === 0 ? name : `${name}-${index + 1}`, {
    argv: unprivileged(kind.user, program(paths, name, kind.flags), { descriptors }),
    env: {
      ...ownSettings,
      [`${prefix}_STATE`]: join(kind.state, String(index + 1)),
      [`${prefix}_DOMAIN`]: domain,
      // Of all processes, and of those that replace them: whoever has a ticket may come to any.
      [`${prefix}_TICKETS`]: join(kind.state, "tickets"),
      [`${prefix}_LISTENERS`]: String(listen.length),
      [`${prefix}_DRAIN_MS`]: String(drainMs),
      ...(metricsPort === undefined ? {} : { [`${prefix}_METRICS_PORT`]: String(metricsPort + index) }),
      ...(certificate === undefined
        ? {}
        : { [`${prefix}_CERT`]: certificate.chain, [`${prefix}_KEY`]: certificate.key }),
      SALLYPORT_API_EDGE_SOCKET: paths.home.apiEdgeSocket,
      SALLYPORT_GATEWAY_OPEN_SOCKET: paths.home.gatewayOpenSocket,
      SALLYPORT_PLATFORM_ID: platformId,
      ...kind.env,
    },
    kept: [
      ...listen.map((at, number) => ({ name: `${name.split("-")[0]}-${number}`, at, shared: processes > 1 })),
      ...kind.kept,
    ],
    stopTimeoutMs: drainMs + STOP_MARGIN_MS,
  });
}

function handOverSocket({ paths }: ChildrenContext, index: number): string {
  return join(paths.home.connectHandOverDir, `${index + 1}.sock`);
}
