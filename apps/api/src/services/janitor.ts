// Forgets what is past its time. Its clock is given, so that tests own it.
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { ENDED_SANDBOX_LIFE_MS, IDEMPOTENCY_KEY_LIFE_MS } from "../domain/limits.ts";
import type { Db } from "../store/database.ts";
import { deleteEndedSandboxes, deleteIdempotencyKeys } from "../store/expiry.ts";
import { sweepConnect } from "./connect-janitor.ts";
import { repeatedly } from "./repeatedly.ts";

const SWEEP_EVERY_MS = 60_000;
const BATCH = 200;

/** How much a sweep forgot. */
export interface Swept {
  readonly keys: number;
  readonly sandboxes: number;
}

/** Forgets all that is past its time at `nowMs`, batch by batch, until told to stop. */
export async function sweep(db: Db, nowMs: number, signal: AbortSignal): Promise<Swept> {
  const all = async (deleteBatch: typeof deleteIdempotencyKeys, lifeMs: number) => {
    let total = 0;
    while (!signal.aborted) {
      const count = await deleteBatch(db, new Date(nowMs - lifeMs), BATCH);
      total += count;
      if (count < BATCH) break;
    }
    return total;
  };
  const keys = await all(deleteIdempotencyKeys, IDEMPOTENCY_KEY_LIFE_MS);
  const sandboxes = await all(deleteEndedSandboxes, ENDED_SANDBOX_LIFE_MS);
  return { keys, sandboxes };
}

/** Sweeps until disposed of. */
export function startJanitor(deps: {
  readonly db: Db;
  readonly clock: Clock;
  readonly logger: Logger;
}): AsyncDisposable {
  const { db, clock, logger } = deps;
  return repeatedly({ clock, everyMs: SWEEP_EVERY_MS }, async (signal) => {
    try {
      const swept = await sweep(db, clock.now(), signal);
      if (swept.keys + swept.sandboxes > 0) logger.info({ ...swept }, "forgot what was past its time");
      const connect = await sweepConnect(db, clock.now(), signal);
      if (Object.values(connect).some((count) => count > 0))
        logger.info({ ...connect }, "forgot old tokens and routes");
    } catch (error) {
      logger.warn({ err: error }, "forgetting what is past its time failed");
    }
  });
}
