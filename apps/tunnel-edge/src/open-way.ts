// Opens a connection into a sandbox by its route, again and again while its server may still be starting.
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { OpenErrorCode } from "@sallyport/dataplane";
import { OpenError, openPort } from "@sallyport/dataplane";
import type { Route } from "@sallyport/dataplane/routes";
import type { TunnelLimits } from "./limits.ts";

export interface OpenWayOptions {
  readonly port: number;
  /** The route as it is by now; undefined: there is none any more. */
  readonly current: () => Route | undefined;
  readonly limits: Pick<TunnelLimits, "openMs" | "startRetryMs">;
  readonly signal: AbortSignal;
}

export interface OpenedWay {
  /** Paused. */
  readonly stream: Duplex;
  /** The incarnation that it leads to. */
  readonly instanceId: string;
}

/** What may be otherwise a moment later; a gateway that was restarted is back soon. */
const PASSING: ReadonlySet<OpenErrorCode> = new Set(["NotFound", "NothingListens", "NotReady", "GatewayUnavailable"]);
const FIRST_PAUSE_MS = 25;
const MAX_PAUSE_MS = 250;

/** Rejects with {@link OpenError}, or the signal's reason. */
export async function openWay(options: OpenWayOptions): Promise<OpenedWay> {
  const { limits, signal } = options;
  const untilMs = performance.now() + limits.startRetryMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    try {
      return await openOnce(options);
    } catch (error) {
      const isPassing = error instanceof OpenError && PASSING.has(error.code);
      if (!isPassing || performance.now() + pauseMs > untilMs) throw error;
    }
    await sleep(pauseMs, undefined, { signal });
  }
}

async function openOnce({ current, limits, port, signal }: OpenWayOptions): Promise<OpenedWay> {
  const route = current();
  if (route === undefined) throw new OpenError("Ended");
  const { gateway, instanceId, sandboxId } = route;
  if (instanceId === "") throw new OpenError("NotReady");
  const target = { sandboxId, instanceId, port, grantPort: port };
  return { stream: await openPort(gateway, target, { signal, timeoutMs: limits.openMs }), instanceId };
}
