// Which children a platform has: program, user and environment of each. Every child sees only what is listed here.

import type { Server } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { systemClock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import type { SallyportPaths, SystemUsers } from "@sallyport/host";
import type { Address } from "./addresses.ts";
import { addressText } from "./addresses.ts";
import type { ChildOptions } from "./child.ts";
import type { StandaloneConfig } from "./config.ts";
import { rangeText } from "./edge-settings.ts";
import { unprivileged } from "./unprivileged.ts";

export const DATABASE = { role: "sallyport", database: "sallyport" } as const;

export interface ChildrenContext {
  readonly config: StandaloneConfig;
  readonly paths: SallyportPaths;
  readonly users: SystemUsers;
  readonly platformId: string;
  readonly runsc: string;
  /** Open files that an edge and the gateway may have. */
  readonly descriptors: number;
  readonly logger: Logger;
}

const BASE_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", NODE_ENV: "production" };

/** The control plane, as its own user. */
export function apiChild(context: ChildrenContext): ChildOptions {
  const { config, paths, users, platformId } = context;
  const database: Record<string, string> =
    config.databaseUrl === undefined
      ? {
          SALLYPORT_DB_SOCKET_DIR: paths.home.postgresSocketDir,
          SALLYPORT_DB_NAME: DATABASE.database,
          SALLYPORT_DB_USER: DATABASE.role,
        }
      : { DATABASE_URL: config.databaseUrl };
  return child(context, "api", {
    argv: unprivileged(users.api.name, program(paths, "api")),
    env: {
      ...database,
      SALLYPORT_API_LISTEN: addressText(config.apiListen),
      SALLYPORT_API_HTTP_LISTEN: addressText(config.apiHttpListen),
      SALLYPORT_API_STATE: paths.home.api,
      SALLYPORT_OPERATOR_SOCKET: paths.home.apiOperatorSocket,
      SALLYPORT_WORKER_SOCKET: paths.home.apiWorkerSocket,
      SALLYPORT_GATEWAY_SOCKET: paths.home.apiGatewaySocket,
      SALLYPORT_EDGE_SOCKET: paths.home.apiEdgeSocket,
      SALLYPORT_CONNECT_DOMAIN: config.connect.domain,
      SALLYPORT_CONNECT_PORT: String(config.connect.port),
      ...(config.connect.certificate === undefined ? {} : { SALLYPORT_CONNECT_CERT: config.connect.certificate.chain }),
      ...config.connect.apiSettings,
      ...config.tunnel.apiSettings,
      SALLYPORT_TUNNEL_DOMAIN: config.tunnel.domain,
      SALLYPORT_TUNNEL_PORT: String(config.tunnel.port),
      SALLYPORT_TUNNEL_RAW_HOST: config.tunnel.rawHost,
      SALLYPORT_TUNNEL_RAW_PORTS: rangeText(config.tunnel.rawPorts),
      ...(config.tunnel.certificate === undefined ? {} : { SALLYPORT_TUNNEL_CERT: config.tunnel.certificate.chain }),
      SALLYPORT_PLATFORM_ID: platformId,
    },
  });
}

/** The privileged agent: root. */
export function workerChild(context: ChildrenContext): ChildOptions {
  const { config, paths, users, platformId, runsc } = context;
  return child(context, "worker", {
    argv: program(paths, "worker"),
    env: {
      SALLYPORT_WORKER_STATE: paths.home.worker,
      SALLYPORT_API_WORKER_SOCKET: paths.home.apiWorkerSocket,
      SALLYPORT_GATEWAY_WORKER_SOCKET: paths.home.gatewayWorkerSocket,
      SALLYPORT_PLATFORM_ID: platformId,
      SALLYPORT_IO_ADDRESS: addressText(config.ioListen),
      SALLYPORT_IO_URL: `http://${addressText(config.ioHttpListen)}`,
      SALLYPORT_GATEWAY_UID: String(users.gateway.uid),
      SALLYPORT_RESOLVER_UID: String(users.resolver.uid),
      SALLYPORT_FLEET_FILE: paths.home.fleetFile,
      SALLYPORT_RUNSC: runsc,
      SALLYPORT_INIT: join(paths.opt.nativeCurrent, "sallyport-init"),
      SALLYPORT_HIDE_HELPER: join(paths.opt.nativeCurrent, "sallyport-hide"),
      SALLYPORT_NFT_HELPER: config.nftHelper ?? join(paths.opt.nativeCurrent, "sallyport-nft"),
      SALLYPORT_IMAGES: paths.cache.images,
      SALLYPORT_ENGINE: paths.opt.engineCurrent,
      SALLYPORT_INSECURE_REGISTRIES: config.insecureRegistries,
      ...config.workerSettings,
    },
    stopTimeoutMs: 12_000,
  });
}

/** The one process that opens connections into sandboxes: its own user, inside the router's network namespace. */
export function gatewayChild(context: ChildrenContext): ChildOptions {
  const { config, paths, users, platformId } = context;
  return child(context, "gateway", {
    argv: [
      "nsenter",
      `--net=${routerNamespace(platformId)}`,
      "--",
      ...unprivileged(users.gateway.name, program(paths, "gateway"), { descriptors: context.descriptors }),
    ],
    env: {
      SALLYPORT_GATEWAY_STATE: paths.home.gateway,
      SALLYPORT_GATEWAY_WORKER_SOCKET: paths.home.gatewayWorkerSocket,
      SALLYPORT_GATEWAY_OPEN_SOCKET: paths.home.gatewayOpenSocket,
      SALLYPORT_API_GATEWAY_SOCKET: paths.home.apiGatewaySocket,
      SALLYPORT_PLATFORM_ID: platformId,
    },
    // Made here, in the host's namespace: a listening socket keeps the namespace in which it was made.
    listeners: [
      { name: "io", open: (signal) => listenAt(config.ioListen, signal) },
      { name: "http", open: (signal) => listenAt(config.ioHttpListen, signal) },
    ],
  });
}

/** What answers look-ups: its own user, in the host's network, with sockets that were made in the router's. */
export function resolverChild(context: ChildrenContext): ChildOptions {
  const { config, paths, users, platformId } = context;
  const sockets = [
    join(paths.opt.nativeCurrent, "sallyport-resolver-sockets"),
    `--net=${routerNamespace(platformId)}`,
    `--uid=${users.resolver.uid}`,
    "--",
  ] as const;
  return child(context, "resolver", {
    argv: [...sockets, ...unprivileged(users.resolver.name, program(paths, "resolver"))],
    env: { SALLYPORT_FLEET_FILE: paths.home.fleetFile, ...config.resolverSettings },
  });
}

/** Path of the router's network namespace. */
function routerNamespace(platformId: string): string {
  return `/run/netns/sp-${platformId.slice(-8)}`;
}

export function child(
  context: ChildrenContext,
  name: string,
  options: Pick<ChildOptions, "argv" | "env"> & Partial<ChildOptions>,
): ChildOptions {
  return {
    name,
    logFile: join(context.paths.home.log, `${name}.log`),
    logger: context.logger,
    ...options,
    env: { ...BASE_ENV, SALLYPORT_LOG_LEVEL: context.config.logLevel, ...options.env },
  };
}

/** `flags` are Node's. */
export function program(paths: SallyportPaths, app: string, flags: readonly string[] = []): [string, ...string[]] {
  return [join(paths.opt.current, "bin/node"), ...flags, join(paths.opt.current, `apps/${app}/dist/main.js`)];
}

/** Listens; waits up to 10 s for a predecessor that still holds the port while it drains. */
async function listenAt(address: Address, signal: AbortSignal): Promise<Server> {
  const deadline = systemClock.monotonicMs() + 10_000;
  for (;;) {
    try {
      return await listenOnce(address);
    } catch (error) {
      const busy = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      if (!busy || systemClock.monotonicMs() > deadline) throw error;
      await systemClock.sleep(100, signal);
    }
  }
}

function listenOnce({ host, port }: Address): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Until the child has the socket, whoever connects is cut off and comes again.
    const server = createServer((early) => early.destroy());
    server.once("error", reject);
    server.listen({ host, port, backlog: 511 }, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}
