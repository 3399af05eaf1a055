// The worker, wired by hand. Stopping it stops no sandbox; `down` ends them all and takes the network away.
import { readFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { type Clock, systemClock } from "@sallyport/appkit/clock";
import type { RunningApp } from "@sallyport/appkit/lifecycle";
import type { Logger } from "@sallyport/appkit/logger";
import { lockFile } from "@sallyport/host";
import type { WorkerConfig } from "./config.ts";
import { openApiLink } from "./control/api-link.ts";
import { reportOf } from "./control/convert.ts";
import { FleetFile } from "./control/fleet-file.ts";
import { openIdentity } from "./control/identity.ts";
import { openJournal } from "./control/journal.ts";
import { News } from "./control/news.ts";
import { openReporter } from "./control/reports.ts";
import { openGatewayClient } from "./gateway/client.ts";
import { openEngine } from "./images/engine/engine.ts";
import { ImageMaker } from "./images/maker.ts";
import { openImageStore } from "./images/store.ts";
import { openGate } from "./instance/gate.ts";
import { WarmPool } from "./instance/pool.ts";
import { Registry } from "./instance/registry.ts";
import {
  type DenialDetail,
  startWorkerNetwork,
  type WorkerNetwork,
  type WorkerNetworkOptions,
} from "./network/index.ts";
import { openHold } from "./runtime/hold.ts";
import { openImages } from "./runtime/images.ts";
import { openRunscRuntime } from "./runtime/runsc/runsc-runtime.ts";
import { probeRunsc } from "./runtime/runsc/version.ts";

export interface WorkerDependencies {
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Aborted when the process is told to stop while it starts. */
  readonly signal?: AbortSignal;
  /** Stands in for the network where a test has its own. */
  readonly startNetwork?: (tellers: NetworkTellers) => Promise<WorkerNetwork>;
}

/** What the network calls when something happens. */
export type NetworkTellers = Pick<
  WorkerNetworkOptions,
  "onMachineAddresses" | "onDenials" | "onRulesLost" | "onRulesRestored"
>;

const TICK_MS = 5_000;
const DOWN_DEADLINE_MS = 7_000;
const LAST_REPORT_MS = 1_000;

export async function startWorker(config: WorkerConfig, dependencies: WorkerDependencies): Promise<RunningApp> {
  const { logger, clock = systemClock } = dependencies;
  await using stack = new AsyncDisposableStack();
  // A worker that was told to stop may still be at its last steps: two on one journal would undo each other's work.
  stack.use(await lockFile(`${config.stateDirectory}/.lock`, { signal: dependencies.signal }));
  const identity = await openIdentity(config.stateDirectory, config.platformId, clock.now());
  const journal = await openJournal(`${config.stateDirectory}/instances`);
  const imageStore = await openImageStore(`${config.stateDirectory}/images`);
  const images = openImages(config.imagesDirectory, imageStore.directory);
  const cgroupPrefix = `sallyport-${config.platformId.slice(-8)}`;
  const engineCgroupPrefix = `${cgroupPrefix}-engine`;
  const runtime = stack.use(
    await openRunscRuntime({
      runsc: config.runsc,
      conmon: config.conmon,
      init: config.init,
      hide: config.hideHelper,
      stateDirectory: config.stateDirectory,
      cgroupPrefix,
      diskReserveMiB: config.diskReserveMiB,
      diskOvercommit: config.diskOvercommit,
    }),
  );
  let isDown = false;
  // Once more when nothing is under way any more: a sandbox that was ended late keeps the shared cgroups until then.
  stack.defer(async () => {
    if (isDown) await runtime.teardown();
  });
  const hold = openHold([cgroupPrefix, engineCgroupPrefix]);
  const addressNews = new News<readonly string[]>();
  // The network begins to tell before there is anybody to hear it.
  const hearers = { addresses: () => {}, denials: (_slot: number, _details: readonly DenialDetail[]) => {} };
  const startNetwork = dependencies.startNetwork ?? ((tellers: NetworkTellers) => realNetwork(config, logger, tellers));
  const network = stack.use(
    await startNetwork({
      onMachineAddresses(cidrs) {
        addressNews.put(cidrs);
        hearers.addresses();
      },
      onDenials: (slot, details) => hearers.denials(slot, details),
      onRulesLost: () => hold.begin(),
      onRulesRestored: () => hold.end(),
    }),
  );
  // An earlier worker may have been killed while it held everything; the rules are there now.
  await hold.end();
  const gateway = stack.use(openGatewayClient({ socket: config.gatewaySocket, logger }));
  const link = stack.use(
    openApiLink({
      socket: config.apiSocket,
      identity,
      clock,
      logger,
      describe: async () => ({
        cpuMillis: availableParallelism() * 1_000 * config.cpuOvercommit,
        memoryMib: Math.floor(totalmem() / 1024 / 1024) * config.memoryOvercommit,
        maxInstances: config.maxInstances,
        ioAddress: config.ioAddress,
        ioUrl: config.ioUrl,
        images: (await images.list()).map(({ name, digest }) => ({ name, digest })),
        runscVersion: runtime.version,
      }),
    }),
  );
  const engine = stack.use(
    await openEngine({
      engineDirectory: config.engineDirectory,
      stateDirectory: `${config.stateDirectory}/engine`,
      cgroupPrefix: engineCgroupPrefix,
      network,
      runsc: config.runsc,
      hide: (await probeRunsc(config.runsc)).hideProcSysNet ? config.hideHelper : undefined,
      reap: config.reap,
      insecureRegistries: config.insecureRegistries,
      clock,
      logger,
    }),
  );
  const maker = stack.use(new ImageMaker({ engine, store: imageStore, link, clock, logger }));
  const reporter = stack.use(
    openReporter({
      send: (reports, signal) => addressNews.with((cidrs) => link.report(reports, cidrs, signal)),
      onAck: ({ instanceId, seq, unknown }) => registry.acked(instanceId, seq, unknown),
      clock,
      logger,
    }),
  );
  const width = Math.max(4, availableParallelism() * 2);
  const startGate = openGate(width);
  const pool = new WarmPool({
    parts: { runtime, network, images, startGate, clock, logger },
    size: config.warmPool,
  });
  const registry: Registry = new Registry({
    maxInstances: config.maxInstances,
    memoryMiB: Math.floor(totalmem() / 1024 / 1024) * config.memoryOvercommit,
    pool,
    parts: {
      runtime,
      network,
      gateway,
      images,
      clock,
      logger,
      store: journal,
      report: (record) => reporter.put(reportOf(record)),
      warm: pool,
      startGate,
      stopGate: openGate(width),
      bootId: (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim(),
    },
  });
  stack.defer(() => registry.leave());

  const { records, unreadable } = await journal.load();
  for (const instanceId of unreadable)
    logger.error({ instanceId }, "the record is damaged: the instance is left alone");
  await registry.recover(records, unreadable);
  hearers.denials = (slot, details) => {
    registry.denied(slot, details).catch((error: unknown) => logger.error({ err: error }, "denials were not told"));
  };
  pool.begin();
  const reportAll = () => {
    for (const record of registry.toReport()) reporter.put(reportOf(record));
  };
  gateway.watch({
    onConnected: () => registry.gatewayConnected(),
    onEntrypointEnded: (id, outcome) => registry.find(id)?.wantEnd({ kind: "entrypointEnded", outcome }),
    onActivity: (id, busy, forMs) => registry.find(id)?.sleeper.told(busy, forMs),
    onWakeWanted: (id) => registry.find(id)?.sleeper.wakeWanted(),
    onInitFailed: (id, message) => registry.find(id)?.wantEnd({ kind: "initFailed", message }),
  });
  hearers.addresses = () => reporter.nudge();
  reportAll();
  reporter.begin();
  const fleetFile = new FleetFile(config.fleetFile, logger);
  link.watch({
    onConnected: () => {
      addressNews.put(network.machineAddresses());
      reportAll();
      reporter.nudge();
    },
    onWishes: (wishes, isFull) => registry.apply(wishes, isFull),
    onImages: (wishes, isFull) => maker.apply(wishes, isFull),
    onFleet(cidrs) {
      void fleetFile.put(cidrs);
      network.setFleet(cidrs).catch((error: unknown) => {
        logger.error({ err: error }, "the fleet's addresses are not in the kernel; trying again with the next look");
      });
    },
  });
  const tick = async () => {
    await registry.tick();
    const inUse = registry.digestsInUse();
    for (const digest of maker.wishedDigests()) inUse.add(digest);
    for (const digest of await imageStore.collect(inUse, clock.now())) images.forget(digest);
  };
  const ticking = setInterval(() => {
    tick().catch((error: unknown) => logger.error({ err: error }, "a tick failed"));
  }, TICK_MS);
  stack.defer(() => clearInterval(ticking));

  const running = stack.move();
  return {
    async down() {
      isDown = true;
      await hold.endForDead();
      const deadline = new Promise<"late">((resolve) => setTimeout(resolve, DOWN_DEADLINE_MS, "late").unref());
      const ended = await Promise.race([
        Promise.all([registry.down(), maker[Symbol.asyncDispose]().then(() => engine[Symbol.asyncDispose]())]),
        deadline,
      ]);
      if (ended === "late") logger.error({ ms: DOWN_DEADLINE_MS }, "not every instance could be ended in time");
      await Promise.all([reporter.flush(LAST_REPORT_MS), network.teardown(), runtime.teardown()]);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function realNetwork(config: WorkerConfig, logger: Logger, tellers: NetworkTellers): Promise<WorkerNetwork> {
  return startWorkerNetwork({
    platformId: config.platformId,
    stateDirectory: config.stateDirectory,
    gatewayUid: config.gatewayUid,
    ...(config.resolver === undefined ? {} : { resolver: config.resolver }),
    limits: config.slotLimits,
    poolSize: config.slotPool,
    helper: config.nftHelper,
    denialReader: config.denialReader,
    logger,
    ...tellers,
  });
}
