// Throws away contexts that nobody needs any more, the images that waited for them, and those that were given up.
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { CONTEXT_LIFE_MS, DELETED_IMAGE_LIFE_MS } from "../domain/image.ts";
import type { Db } from "../store/database.ts";
import { endMaking, forgetImages, listAbandoned, listUnfinished } from "../store/workspace-images.ts";
import type { BuildContexts } from "./build-contexts.ts";
import { repeatedly } from "./repeatedly.ts";

const SWEEP_EVERY_MS = 10 * 60_000;
const BATCH = 100;

export interface ImageJanitorDeps {
  readonly db: Db;
  readonly contexts: BuildContexts;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One sweep at `nowMs`, which ends early when it is told to. */
export async function sweepImages(
  { db, contexts }: Pick<ImageJanitorDeps, "db" | "contexts">,
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  const error = "its context was not sent in time";
  for (const { id, workspaceId } of await listAbandoned(db, new Date(nowMs - CONTEXT_LIFE_MS))) {
    await endMaking(workspaceId, db, id, { state: "failed", error });
  }
  const files = await contexts.list();
  const wanted = new Set(files.length === 0 ? [] : await listUnfinished(db, files));
  for (const imageId of files) if (!wanted.has(imageId)) await contexts.remove(imageId);
  while (!signal.aborted) {
    if ((await forgetImages(db, new Date(nowMs - DELETED_IMAGE_LIFE_MS), BATCH)) < BATCH) break;
  }
}

/** Sweeps until disposed of. */
export function startImageJanitor(deps: ImageJanitorDeps): AsyncDisposable {
  const { clock, logger } = deps;
  return repeatedly({ clock, everyMs: SWEEP_EVERY_MS }, async (signal) => {
    try {
      await sweepImages(deps, clock.now(), signal);
    } catch (error) {
      logger.warn({ err: error }, "images could not be swept");
    }
  });
}
