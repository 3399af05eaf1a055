// Calls to the gateway about one instance, patient with a gateway that is being restarted.
import { isAppError } from "@sallyport/appkit/errors";
import { Backoff } from "@sallyport/appkit/retry";
import type { SlotNetwork } from "../network/index.ts";
import type { InstanceParts } from "./parts.ts";

export interface Door {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  readonly initSecret: string;
  readonly slot: Pick<SlotNetwork, "ipv4" | "ipv6" | "routerIpv4">;
  /** Whether it is frozen: its init is then met when it wakes. */
  readonly asleep?: boolean;
}

/** How long init may take to answer one attempt. */
const INIT_WAIT_MS = 10_000;
/** How long a gateway may be away in the middle of a start. */
const PATIENCE_MS = 30_000;

/** Answers that a gateway which has just been restarted gives, or that come for want of one. */
const PASSING = new Set(["Unavailable", "DeadlineExceeded", "NotFound", "FailedPrecondition"]);

/** Makes the gateway meet the instance's init. Repeated, it changes nothing. */
export function attach(parts: InstanceParts, door: Door, signal: AbortSignal): Promise<void> {
  return patiently(parts, signal, () => attachOnce(parts, door, signal));
}

/** Does something with an attached instance; attaches it again where the gateway has forgotten it. */
export function throughDoor(
  parts: InstanceParts,
  door: Door,
  signal: AbortSignal,
  step: () => Promise<void>,
): Promise<void> {
  let isFirst = true;
  return patiently(parts, signal, async () => {
    if (!isFirst) await attachOnce(parts, door, signal);
    isFirst = false;
    await step();
  });
}

function attachOnce(parts: InstanceParts, door: Door, signal: AbortSignal): Promise<void> {
  return parts.gateway.attach(
    {
      instanceId: door.instanceId,
      sandboxId: door.sandboxId,
      generation: door.generation,
      ipv4: door.slot.ipv4,
      ipv6: door.slot.ipv6,
      initSecret: door.initSecret,
      waitMs: INIT_WAIT_MS,
      asleep: door.asleep ?? false,
    },
    signal,
  );
}

async function patiently(parts: InstanceParts, signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
  const deadline = parts.clock.monotonicMs() + PATIENCE_MS;
  const backoff = new Backoff({ firstMs: 20, maxMs: 1_000, clock: parts.clock });
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      signal.throwIfAborted();
      const passes = isAppError(error) && PASSING.has(error.code);
      if (!passes || parts.clock.monotonicMs() > deadline) throw error;
      parts.logger.debug({ code: error.code }, "the gateway is not there; trying again");
    }
    await backoff.pause(signal);
  }
}
