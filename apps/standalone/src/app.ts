// The one-machine platform: PostgreSQL, api, worker, gateway, resolver and the edges as supervised children. Stopping it
// ends no sandbox; `down` does, and leaves nothing of the platform on the machine but its files.
import { join } from "node:path";
import type { RunningApp } from "@sallyport/appkit/lifecycle";
import type { Logger } from "@sallyport/appkit/logger";
import type { SallyportPaths } from "@sallyport/host";
import {
  descriptorLimit,
  EDGE_DESCRIPTORS,
  lockFile,
  prepareHome,
  SYSTEM_USERS,
  sallyportPaths,
  systemUsers,
  usableRunsc,
} from "@sallyport/host";
import { addressText } from "./addresses.ts";
import { Child } from "./child.ts";
import type { ChildrenContext } from "./children.ts";
import { apiChild, DATABASE, gatewayChild, resolverChild, workerChild } from "./children.ts";
import type { StandaloneConfig } from "./config.ts";
import type { PlatformStatus } from "./control.ts";
import { isAnswered, startControl } from "./control.ts";
import { connectProxyChild, tunnelEdgeChild } from "./edge-children.ts";
import { platformId } from "./platform-id.ts";
import type { Postgres } from "./postgres.ts";
import { startPostgres, stopPostgres } from "./postgres.ts";
import { claimRawAddress } from "./raw-address.ts";
import { workerConnected } from "./ready.ts";

export interface StandaloneDeps {
  readonly logger: Logger;
  /** Aborted when the process is told to stop while it starts. */
  readonly signal: AbortSignal;
}

/** A worker ends its sandboxes within this time, or is killed. */
const DOWN_TIMEOUT_MS = 25_000;

/** Starts everything; resolves when all of it is ready. */
export async function startStandalone(config: StandaloneConfig, deps: StandaloneDeps): Promise<RunningApp> {
  const { logger, signal } = deps;
  const paths = sallyportPaths({ home: config.home, opt: config.opt, cache: config.cache });
  const users = await systemUsers();
  await prepareHome(paths.home, users);
  const id = await platformId(paths.home.platformFile);
  const runsc = await usableRunsc(paths);
  const descriptors = await descriptorLimit();
  if (descriptors < EDGE_DESCRIPTORS) {
    logger.warn({ descriptors, wanted: EDGE_DESCRIPTORS }, "edges may have fewer connections than they could (doctor)");
  }
  const context: ChildrenContext = { config, paths, users, platformId: id, runsc: runsc.path, descriptors, logger };
  await using started = new AsyncDisposableStack();
  if (await isAnswered(paths.home.supervisorSocket)) {
    throw new Error(`a supervisor already runs here (${paths.home.supervisorSocket}); stop it with: sallyport down`);
  }
  // Against another that starts at the same moment, or is at its last steps.
  started.use(await lockFile(join(paths.home.run, "supervisor.lock"), { signal }));

  const worker = new Child(workerChild(context));
  const stop = () => process.kill(process.pid, "SIGTERM");
  if (config.down) {
    await endWhatIsLeft(worker, paths, signal);
    stop();
    return { [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() };
  }

  started.use(claimRawAddress(config.tunnel.rawAddress));
  let state: PlatformStatus["state"] = "starting";
  let postgres: Postgres | undefined;
  const api = new Child(apiChild(context));
  const gateway = new Child(gatewayChild(context));
  const resolver = new Child(resolverChild(context));
  const edges: Readonly<Record<string, readonly Child[]>> = {
    "connect-proxy": each(config.connect.processes, (index) => new Child(connectProxyChild(context, index))),
    "tunnel-edge": each(config.tunnel.processes, (index) => new Child(tunnelEdgeChild(context, index))),
  };
  const edgeProcesses = Object.values(edges).flat();
  const down = async () => {
    state = "stopping";
    await worker.start(AbortSignal.any([signal, AbortSignal.timeout(DOWN_TIMEOUT_MS)])); // it may be restarting just now
    if (!(await worker.down(DOWN_TIMEOUT_MS)))
      throw new Error(`the worker did not end its sandboxes; see ${paths.home.log}/worker.log`);
  };
  const control = await startControl({
    socketPath: paths.home.supervisorSocket,
    status: () => ({
      state,
      pid: process.pid,
      platformId: id,
      apiUrl: `http://${addressText(config.apiListen)}`,
      restUrl: `http://${addressText(config.apiHttpListen)}`,
      children: [
        ...(postgres === undefined ? [] : [postgresStatus(postgres)]),
        api.status,
        worker.status,
        gateway.status,
        resolver.status,
        ...edgeProcesses.map((edge) => edge.status),
      ],
    }),
    down,
    stop,
    async restart(name) {
      const processes = edges[name];
      for (const one of processes ?? []) await one.replace();
      return processes !== undefined;
    },
  });
  started.use(control);
  // Disposal runs backwards: edges, resolver, gateway and worker first, then the api, then its database.
  const database = startDatabase(config, paths, logger, signal).then((server) => {
    postgres = server;
    if (server !== undefined) started.use(server);
  });
  const apiReady = database.then(() => {
    started.use(api);
    return api.start(signal);
  });
  const workerReady = (async () => {
    started.use(worker);
    await worker.start(signal);
    // The namespace of both is the worker's making.
    started.use(gateway);
    started.use(resolver);
    await Promise.all([gateway.start(signal), resolver.start(signal)]);
    // Strangers come in last. Edges need none of the others to be up, and serve what they knew before.
    started.defer(async () => {
      await Promise.all(edgeProcesses.map((edge) => edge[Symbol.asyncDispose]()));
    });
    await Promise.all(edgeProcesses.map((edge) => edge.start(signal)));
  })();
  await Promise.all([apiReady, workerReady]);
  await workerConnected(paths.home.apiOperatorSocket, signal);
  state = "ready";
  const owned = started.move();
  return {
    async [Symbol.asyncDispose]() {
      state = "stopping";
      await owned.disposeAsync();
    },
  };
}

function each<T>(count: number, make: (index: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** `down` without a supervisor: one that was killed left sandboxes, rules or a database server behind. */
async function endWhatIsLeft(worker: Child, paths: SallyportPaths, signal: AbortSignal): Promise<void> {
  await worker.start(signal);
  await worker.down(DOWN_TIMEOUT_MS);
  await stopPostgres(paths.opt.postgresCurrent, paths.home.postgresData);
}

async function startDatabase(
  config: StandaloneConfig,
  paths: SallyportPaths,
  logger: Logger,
  signal: AbortSignal,
): Promise<Postgres | undefined> {
  if (config.databaseUrl !== undefined) return undefined;
  return await startPostgres(
    {
      programs: paths.opt.postgresCurrent,
      dataDir: paths.home.postgresData,
      socketDir: paths.home.postgresSocketDir,
      logFile: join(paths.home.log, "postgres.log"),
      user: SYSTEM_USERS.postgres,
      clientUser: SYSTEM_USERS.api,
      ...DATABASE,
      logger,
    },
    signal,
  );
}

function postgresStatus(postgres: Postgres): PlatformStatus["children"][number] {
  const { pid, restarts } = postgres;
  return { name: "postgres", state: pid === undefined ? "waiting" : "ready", pid, restarts };
}
