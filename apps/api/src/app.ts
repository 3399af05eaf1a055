// The api wired by hand: keys, database, services, doors. Serves only when all of it is there.
import { join } from "node:path";
import type { Clock } from "@sallyport/appkit/clock";
import { AppError, isAppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import type { ApiConfig } from "./config.ts";
import type { Listeners } from "./grpc/listeners.ts";
import { startListeners } from "./grpc/listeners.ts";
import { openAuthorities } from "./services/authorities.ts";
import { openBuildContexts } from "./services/build-contexts.ts";
import { ConnectKeys } from "./services/connect-keys.ts";
import { startImageJanitor } from "./services/image-janitor.ts";
import { openIoTokens } from "./services/io-tokens.ts";
import { startJanitor } from "./services/janitor.ts";
import { startKeyRotation } from "./services/key-rotation.ts";
import { loadMasterKey } from "./services/master-key.ts";
import { ensurePlatform } from "./services/platform.ts";
import { Turnstile } from "./services/turnstile.ts";
import { WakeHub } from "./services/wake-hub.ts";
import { Acknowledgements } from "./services/watch-routes.ts";
import { startWatchdog } from "./services/watchdog.ts";
import { openDatabase } from "./store/database.ts";
import { migrate } from "./store/migrate.ts";
import { startNotifications } from "./store/notifications.ts";
import { offerPublicPorts } from "./store/tunnels.ts";

export interface ApiDeps {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Aborts the start. */
  readonly signal: AbortSignal;
}

/** A running api. Disposal answers those who wait with Unavailable, and loses nothing that was committed. */
export interface Api extends AsyncDisposable {
  readonly port: number;
  readonly httpPort: number;
}

/** How long the database may take to answer for the first time. */
const DATABASE_DEADLINE_MS = 60_000;
/** Enough to keep the database busy: one commits while the next prepare. */
const CREATES = { places: 4, maxWaitMs: 10_000 };

/** Starts the api. Rejects when a setting, the state directory or the database will not do. */
export async function startApi(config: ApiConfig, deps: ApiDeps): Promise<Api> {
  const { logger, clock } = deps;
  await using stack = new AsyncDisposableStack();
  const master = await loadMasterKey(config.stateDir);
  const { db } = stack.use(openDatabase(config.database, logger));
  const connectKeys = new ConnectKeys(db, master, clock);
  const { connect, tunnels, platformId } = config;
  const { ioTokens, authorities } = await onceDatabaseAnswers(deps, async () => {
    await migrate(db);
    await ensurePlatform(db, config.platformId);
    await connectKeys.ensure();
    if (tunnels.rawPorts !== undefined) await offerPublicPorts(db, tunnels.rawPorts);
    return {
      ioTokens: await openIoTokens(db, master, config.platformId, clock),
      authorities: await openAuthorities({ db, master, clock }, connect, tunnels),
    };
  });
  const hub = new WakeHub();
  let listeners: Listeners | undefined;
  let isConnected = true;
  stack.use(
    startNotifications({
      address: config.database,
      logger,
      onWake: (topic) => hub.wake(topic),
      onConnection(connected) {
        isConnected = connected;
        listeners?.setServing(connected);
        if (connected) hub.wakeAll(); // what was told while nobody listened is lost
      },
    }),
  );
  const pageTokenKey = master.derive("page tokens");
  const creates = new Turnstile(CREATES);
  const contexts = await openBuildContexts(join(config.stateDir, "contexts"));
  const edges = { connect, tunnels, connectKeys, ...authorities, acknowledgements: new Acknowledgements() };
  const services = { db, hub, creates, clock, ioTokens, pageTokenKey, master, contexts, platformId, ...edges };
  listeners = stack.use(await startListeners(services, { ...config, logger }));
  listeners.setServing(isConnected);
  stack.use(startWatchdog({ db, hub, logger, clock, lostAfterMs: config.lostAfterMs }));
  stack.use(startJanitor({ db, clock, logger }));
  stack.use(startImageJanitor({ db, contexts, clock, logger }));
  stack.use(startKeyRotation({ ...services, logger, keyLifeMs: connect.keyLifeMs }));
  stack.defer(() => hub.close(new AppError("Unavailable", "the api is stopping", { retryAfterMs: 500 })));
  const { port, httpPort } = listeners;
  logger.info({ port, httpPort, platformId: config.platformId }, "listening");
  const owned = stack.move();
  return { port, httpPort, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function onceDatabaseAnswers<T>({ clock, logger, signal }: ApiDeps, attempt: () => Promise<T>): Promise<T> {
  const deadline = clock.monotonicMs() + DATABASE_DEADLINE_MS;
  const backoff = new Backoff({ firstMs: 50, maxMs: 1_000, clock });
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isAppError(error, "Unavailable") || clock.monotonicMs() > deadline) throw error;
      logger.warn({ err: error.cause }, "the database does not answer yet");
      await backoff.pause(signal);
    }
  }
}
