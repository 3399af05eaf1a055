// Takes away what a platform's network left: everything at the end, half-done slots at a start.

import { type PlatformNames, platformNames, slotAddresses } from "./addresses.ts";
import { NftSession } from "./apply.ts";
import { journalDirectory, type RemoveNetworkOptions } from "./contract.ts";
import { messageOf, NetworkError } from "./errors.ts";
import { FORWARDING_DIRECTORY, Forwarding } from "./forwarding.ts";
import { HostSide } from "./host.ts";
import { Journal, type JournaledSlot } from "./journal.ts";
import { namespacesNamed, removeLink, removeNamespace } from "./namespaces.ts";
import { unmakeSlot } from "./slot.ts";

/** Takes a platform's network away without starting it first, after a crash too. Idempotent; tries every step. */
export async function removeWorkerNetwork(options: RemoveNetworkOptions): Promise<void> {
  const names = platformNames(options.platformId);
  await using session = new NftSession({ helper: options.helper });
  const forwarding = new Forwarding(options.forwardingDirectory ?? FORWARDING_DIRECTORY, names.tag);
  const host = new HostSide({ names, session, forwarding });
  const failures: unknown[] = [];
  const attempt = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  };
  for (const slot of await existingSlots(names)) {
    await attempt(() => unmakeSlot(names, slotAddresses(options.platformId, slot)));
  }
  await attempt(() => removeLink(undefined, names.hostLink));
  await attempt(() => removeNamespace(names.routerNetns));
  await attempt(() => host.remove());
  if (failures.length > 0) {
    throw new NetworkError(
      "SetupFailed",
      `not all could be removed: ${failures.map(messageOf).join("; ")}`,
      failures[0],
    );
  }
  const journal = await Journal.open(journalDirectory(options));
  await journal.remove();
}

/** Prepared slots of an earlier run, half-made and half-removed ones. */
export async function removeLeftovers(
  names: PlatformNames,
  platformId: string,
  journal: Journal,
  kept: readonly JournaledSlot[],
): Promise<void> {
  const keep = new Set(kept.map((entry) => entry.slot));
  const journaled = (await journal.slots()).map((entry) => entry.slot);
  for (const slot of new Set([...journaled, ...(await existingSlots(names))])) {
    if (keep.has(slot)) continue;
    await unmakeSlot(names, slotAddresses(platformId, slot));
    await journal.removeSlot(slot);
  }
}

async function existingSlots(names: PlatformNames): Promise<number[]> {
  const prefix = `${names.routerNetns}-`;
  const numbers = (await namespacesNamed(prefix)).map((name) => name.slice(prefix.length));
  return numbers.filter((text) => /^\d{1,5}$/.test(text)).map(Number);
}
