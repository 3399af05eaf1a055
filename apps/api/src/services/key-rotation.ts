// Renews the keys of connect tokens: by command, and by age.
import type { Logger } from "@sallyport/appkit/logger";
import { KEY_NOTICE_MS } from "../domain/limits.ts";
import { readHead } from "../store/routes.ts";
import type { ServiceDeps } from "./deps.ts";
import { staleEdges } from "./edge-acknowledgements.ts";
import { repeatedly } from "./repeatedly.ts";

const LOOK_EVERY_MS = 60_000;

type RotationDeps = Pick<ServiceDeps, "db" | "hub" | "clock" | "connectKeys">;

export interface Rotation {
  readonly keyId: string;
  /** Edges out of reach: they refuse tokens of the new key until they are back. */
  readonly staleEdges: readonly string[];
}

/** Resolves once the new key signs. Whoever stops waiting stops nothing: it signs when its notice is over. */
export async function rotateConnectKey(deps: RotationDeps, signal: AbortSignal): Promise<Rotation> {
  const keyId = await deps.connectKeys.renew();
  if (keyId === undefined) throw new Error("a key that was asked for was not made");
  return announce(deps, keyId, signal);
}

async function announce(deps: RotationDeps, keyId: string, signal: AbortSignal): Promise<Rotation> {
  const stale = await staleEdges(deps, await readHead(deps.db), KEY_NOTICE_MS, signal);
  await deps.connectKeys.begin(keyId);
  return { keyId, staleEdges: stale };
}

/** Renews the key once it is so old, until disposed of. Of several processes one does. */
export function startKeyRotation(
  deps: RotationDeps & { readonly logger: Logger; readonly keyLifeMs: number },
): AsyncDisposable {
  const { clock, connectKeys, keyLifeMs, logger } = deps;
  return repeatedly({ clock, everyMs: LOOK_EVERY_MS }, async (signal) => {
    try {
      const keyId = await connectKeys.renew(keyLifeMs);
      if (keyId === undefined) return;
      const { staleEdges: stale } = await announce(deps, keyId, signal);
      logger.info({ keyId, staleEdges: stale }, "another key signs connect tokens");
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, "renewing the key of connect tokens failed");
    }
  });
}
