// Throws away contexts that nobody needs any more, and the images that waited for them.
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { CONTEXT_LIFE_MS } from "../domain/image.ts";
import type { Db } from "../store/database.ts";
import { endMaking, listAbandoned, listUnfinished } from "../store/workspace-images.ts";
import type { BuildContexts } from "./build-contexts.ts";
import { repeatedly } from "./repeatedly.ts";

const SWEEP_EVERY_MS = 10 * 60_000;

export interface ImageJanitorDeps {
  readonly db: Db;
  readonly contexts: BuildContexts;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One sweep at `nowMs`. */
export async function sweepContexts(
  { db, contexts }: Pick<ImageJanitorDeps, "db" | "contexts">,
  nowMs: number,
): Promise<void> {
  const error = "its context was not sent in time";
  for (const { id, workspaceId } of await listAbandoned(db, new Date(nowMs - CONTEXT_LIFE_MS))) {
    await endMaking(workspaceId, db, id, { state: "failed", error });
  }
  const files = await contexts.list();
  const wanted = new Set(files.length === 0 ? [] : await listUnfinished(db, files));
  for (const imageId of files) if (!wanted.has(imageId)) await contexts.remove(imageId);
}

/** Sweeps until disposed of. */
export function startImageJanitor(deps: ImageJanitorDeps): AsyncDisposable {
  const { clock, logger } = deps;
  return repeatedly({ clock, everyMs: SWEEP_EVERY_MS }, async () => {
    try {
      await sweepContexts(deps, clock.now());
    } catch (error) {
      logger.warn({ err: error }, "contexts of builds could not be swept");
    }
  });
}
