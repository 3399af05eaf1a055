// Taking an instance away: doors, processes, cgroups, state, files, slot. Every step may be repeated.
import { allDone } from "../system/all-done.ts";
import type { InstanceParts } from "./parts.ts";

export interface StopOptions {
  readonly instanceId: string;
  readonly containerId: string;
  readonly slot: number | undefined;
  /** Whether helpers of an earlier worker may still be at work on it. */
  readonly thorough: boolean;
  /** Told before the number can be anybody else's. */
  readonly onSlotReleased: () => Promise<void>;
}

/**
 * Throws a half-made sandbox away, to make another one for the same instance. The gateway is not told: to it a detached
 * instance is over for good, and its next attachment replaces this one. Throws when something is left.
 */
export async function rollBack(parts: InstanceParts, options: StopOptions): Promise<void> {
  await parts.runtime.destroy(options.containerId, { thorough: options.thorough });
  await releaseSlot(parts, options);
}

/** Throws when something is left; the caller tries again. */
export async function stop(parts: InstanceParts, options: StopOptions): Promise<void> {
  await allDone([
    parts.gateway.detach(options.instanceId),
    parts.runtime.destroy(options.containerId, { thorough: options.thorough }),
  ]);
  await releaseSlot(parts, options);
}

async function releaseSlot(parts: InstanceParts, options: StopOptions): Promise<void> {
  if (options.slot === undefined) return;
  await parts.network.releaseSlot(options.slot);
  await options.onSlotReleased();
}
