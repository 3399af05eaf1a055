// Every path of a Sallyport machine, in one table. Apps get theirs from the supervisor; nobody else spells one out.
import { join } from "node:path";

export interface PathOptions {
  /** State of one platform. `/var/lib/sallyport` when unset. */
  readonly home?: string | undefined;
  /** Programs: root-owned, world-readable. `/opt/sallyport` when unset. */
  readonly opt?: string | undefined;
  /** What can be made again. `/var/cache/sallyport` when unset. */
  readonly cache?: string | undefined;
}

/** The state of one platform (SALLYPORT_HOME). Owners and modes: `prepareHome`. */
export interface HomePaths {
  readonly root: string;
  /** `{"platformId": "<ulid>"}`. */
  readonly platformFile: string;
  readonly postgres: string;
  readonly postgresData: string;
  readonly api: string;
  readonly gateway: string;
  readonly gatewaySpool: string;
  /** Of each connect-proxy process a folder: its table of routes, keys, certificates, access log. */
  readonly connectProxy: string;
  /** The same of each tunnel-edge process. */
  readonly tunnelEdge: string;
  readonly worker: string;
  readonly workerInstances: string;
  readonly workerBundles: string;
  readonly workerRunsc: string;
  readonly log: string;
  readonly run: string;
  /** Directory of PostgreSQL's socket. */
  readonly postgresSocketDir: string;
  readonly apiOperatorSocket: string;
  readonly apiWorkerSocket: string;
  readonly apiGatewaySocket: string;
  readonly apiEdgeSocket: string;
  readonly gatewayWorkerSocket: string;
  readonly gatewayOpenSocket: string;
  /** Directory of the sockets at which connect-proxies take connections over from tunnel-edges, one per process. */
  readonly connectHandOverDir: string;
  /** Addresses of the fleet's machines: the worker writes them, the resolver reads them. */
  readonly fleetFile: string;
  readonly supervisorSocket: string;
}

/** Programs. Every `…Current` is a symbolic link that is switched in one step. */
export interface ProgramPaths {
  readonly root: string;
  /** The laid-out apps: `bin/sallyport`, `bin/node`, `apps/<name>/dist/main.js`. */
  readonly current: string;
  readonly releases: string;
  readonly node: string;
  readonly runsc: string;
  readonly runscCurrent: string;
  /** What makes images: dockerd, containerd and their shim. */
  readonly engine: string;
  readonly engineCurrent: string;
  /** init, the subreaper and the other programs of apps/init. */
  readonly native: string;
  readonly nativeCurrent: string;
  /** bin/, lib/, share/ of the embedded PostgreSQL. */
  readonly postgres: string;
  readonly postgresCurrent: string;
  readonly setupLock: string;
}

export interface CachePaths {
  readonly root: string;
  /** `<hex digest>/rootfs`, `<hex digest>/manifest.json`. */
  readonly images: string;
  /** Names the default image: which digest, made from which recipe. */
  readonly defaultImageFile: string;
  readonly downloads: string;
}

export interface SallyportPaths {
  readonly home: HomePaths;
  readonly opt: ProgramPaths;
  readonly cache: CachePaths;
}

export const DEFAULT_HOME = "/var/lib/sallyport";
export const DEFAULT_OPT = "/opt/sallyport";
export const DEFAULT_CACHE = "/var/cache/sallyport";

/** Every path, below the given roots. */
export function sallyportPaths(options: PathOptions = {}): SallyportPaths {
  return {
    home: homePaths(options.home ?? DEFAULT_HOME),
    opt: programPaths(options.opt ?? DEFAULT_OPT),
    cache: cachePaths(options.cache ?? DEFAULT_CACHE),
  };
}

function homePaths(root: string): HomePaths {
  const run = join(root, "run");
  return {
    root,
    platformFile: join(root, "platform.json"),
    postgres: join(root, "postgres"),
    postgresData: join(root, "postgres", "data"),
    api: join(root, "api"),
    gateway: join(root, "gateway"),
    gatewaySpool: join(root, "gateway", "spool"),
    connectProxy: join(root, "connect-proxy"),
    tunnelEdge: join(root, "tunnel-edge"),
    worker: join(root, "worker"),
    workerInstances: join(root, "worker", "instances"),
    workerBundles: join(root, "worker", "bundles"),
    workerRunsc: join(root, "worker", "runsc"),
    log: join(root, "log"),
    run,
    postgresSocketDir: join(run, "postgres"),
    apiOperatorSocket: join(run, "api", "operator", "operator.sock"),
    apiWorkerSocket: join(run, "api", "worker", "worker.sock"),
    apiGatewaySocket: join(run, "api", "gateway", "gateway.sock"),
    apiEdgeSocket: join(run, "api", "edge", "edge.sock"),
    gatewayWorkerSocket: join(run, "gateway", "worker", "worker.sock"),
    gatewayOpenSocket: join(run, "gateway", "open", "open.sock"),
    connectHandOverDir: join(run, "connect-proxy"),
    fleetFile: join(run, "worker", "fleet.cidrs"),
    supervisorSocket: join(run, "supervisor.sock"),
  };
}

function programPaths(root: string): ProgramPaths {
  return {
    root,
    current: join(root, "current"),
    releases: join(root, "releases"),
    node: join(root, "node"),
    runsc: join(root, "runsc"),
    runscCurrent: join(root, "runsc", "current"),
    engine: join(root, "engine"),
    engineCurrent: join(root, "engine", "current"),
    native: join(root, "native"),
    nativeCurrent: join(root, "native", "current"),
    postgres: join(root, "postgres"),
    postgresCurrent: join(root, "postgres", "current"),
    setupLock: join(root, ".setup.lock"),
  };
}

function cachePaths(root: string): CachePaths {
  return {
    root,
    images: join(root, "images"),
    defaultImageFile: join(root, "images", "default.json"),
    downloads: join(root, "downloads"),
  };
}
