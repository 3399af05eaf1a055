// When a process of an edge counts: at once after a crash or a stop; beside one that it replaces once it knows all that was
// acknowledged. What was before it is taken leave of when it is over.
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@sallyport/appkit/logger";
import type { ApiLink } from "./api-link.ts";
import type { StateFolder } from "./state-folder.ts";

interface TakeOverOptions {
  readonly folder: StateFolder;
  /** Of the watch over its routes. */
  readonly caughtUp: Promise<void>;
  /** By which the api is told that a process is gone for good. */
  readonly link: ApiLink;
  readonly logger: Logger;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** How often is looked for what is over, in milliseconds. 1,000 when unset. */
  readonly lookEveryMs?: number;
}

const LOOK_EVERY_MS = 1_000;

/** Resolves when this process may serve; rejects with the signal's reason. Disposal stops looking for those that are over; a later start goes on with it. */
export async function takeOver(options: TakeOverOptions): Promise<AsyncDisposable> {
  const { caughtUp, folder, logger, signal } = options;
  if (folder.isSuccessor) {
    logger.info({}, "another process serves; waiting for the api to tell what it knows");
    await (signal === undefined ? caughtUp : Promise.race([caughtUp, aborted(signal)]));
    folder.commit();
  }
  const stop = new AbortController();
  const sweeping = sweepUntilDone(options, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await sweeping;
    },
  };
}

async function sweepUntilDone(options: TakeOverOptions, signal: AbortSignal): Promise<void> {
  const { folder, link, logger, lookEveryMs = LOOK_EVERY_MS } = options;
  while (!signal.aborted) {
    try {
      if (!(await folder.sweep((edgeId) => link.takeLeaveOf(edgeId)))) return;
    } catch (error) {
      logger.warn({ err: error }, "the folders of processes that are over cannot be removed");
    }
    await delay(lookEveryMs, undefined, { signal }).catch(() => undefined); // aborted: over
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason as Error);
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
}
