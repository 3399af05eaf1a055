// LISTEN and NOTIFY: how the api processes on one database wake each other. A wake-up says only that something may have
// changed: whoever is woken reads again, and reads now and then without it.
import { randomUUID } from "node:crypto";
import { systemClock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import { sql } from "kysely";
import pg from "pg";
import type { DatabaseAddress } from "./database.ts";
import { clientConfig } from "./database.ts";

const CHANNEL = "sallyport_wake";
const PROBE_EVERY_MS = 3_000;
const PROBE_TIMEOUT_MS = 3_000;

/** Tells our own notifications apart: we have acted on those when they arrive. */
const origin = randomUUID();

/** A column for RETURNING or SELECT that notifies at commit. */
export function notifying<Alias extends string = "notified">(topic: string, alias?: Alias) {
  return sql<null>`pg_notify(${sql.lit(CHANNEL)}, ${`${origin}|${topic}`})`.as(alias ?? "notified");
}

export interface NotificationsOptions {
  readonly address: DatabaseAddress;
  readonly logger: Logger;
  /** Another process changed this. */
  onWake(topic: string): void;
  /** The connection is there (again), so anything may have changed; or it is gone, and the database most likely with it. */
  onConnection(connected: boolean): void;
}

/** Listens until disposed of, on a connection of its own that is made again whenever it breaks. */
export function startNotifications(options: NotificationsOptions): AsyncDisposable {
  const stop = new AbortController();
  const running = (async () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 2_000 });
    while (!stop.signal.aborted) {
      try {
        await listenOnce(options, stop.signal, () => backoff.reset());
      } catch (error) {
        if (!stop.signal.aborted) options.logger.warn({ err: error }, "the listening database connection broke");
      }
      options.onConnection(false);
      await backoff.pause(stop.signal).catch(endOfPause);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

function endOfPause(): void {
  // Told to stop: the loop sees it.
}

/** Resolves when told to stop; rejects when the connection breaks or hangs. */
async function listenOnce(options: NotificationsOptions, signal: AbortSignal, onReady: () => void): Promise<void> {
  const client = new pg.Client({ ...clientConfig(options.address), query_timeout: PROBE_TIMEOUT_MS });
  const broken = new AbortController();
  client.on("error", (error) => broken.abort(error));
  client.on("end", () => broken.abort(new Error("the connection ended")));
  client.on("notification", ({ payload = "" }) => {
    const separator = payload.indexOf("|");
    if (payload.slice(0, separator) !== origin) options.onWake(payload.slice(separator + 1));
  });
  try {
    await client.connect();
    await client.query(`LISTEN ${CHANNEL}`);
    onReady();
    options.onConnection(true);
    const either = AbortSignal.any([signal, broken.signal]);
    while (!either.aborted) {
      await systemClock.sleep(PROBE_EVERY_MS, either).catch(endOfPause);
      broken.signal.throwIfAborted();
      if (!signal.aborted) await client.query("SELECT 1");
    }
    broken.signal.throwIfAborted();
  } finally {
    // A hanging server answers no farewell, so nobody waits for it.
    client.end().catch((error: unknown) => options.logger.debug({ err: error }, "closing a broken connection failed"));
  }
}
