// Room in the kernel's table of connections. The machine's own and the router's have one bound, which is made for the
// traffic of one machine: some dozens of slots at the bound of theirs would leave nobody else a connection.

import { totalmem } from "node:os";
import { isForbidden, readSetting, writeSetting } from "./settings.ts";

/** Of the machine as a whole; namespaces only read it. */
export const CONNECTION_TABLE = "netfilter/nf_conntrack_max";

/** When an idle TCP connection of a slot's is forgotten, in the router and on the machine. Two hours and a little. */
export const IDLE_CONNECTION_S = 7440;

/** What the kernel keeps of one connection. */
const BYTES_PER_CONNECTION = 320;
/** Part of the memory that a full table may take. A sandbox of 128 MiB at the bound of its slot takes a fiftieth of its own. */
const SHARE_OF_MEMORY = 1 / 16;

/** Raises the bound where it is lower. Answers whether it was; not in a namespace that may not. */
export async function makeRoomForConnections(memoryBytes = totalmem()): Promise<boolean> {
  const value = await readSetting(CONNECTION_TABLE);
  const wanted = connectionsFor(memoryBytes);
  // 0 is no bound; the setting comes with the first rule that asks for the state of a connection.
  if (value === undefined || value === "0" || Number(value) >= wanted) return false;
  try {
    await writeSetting(CONNECTION_TABLE, String(wanted));
    return true;
  } catch (error) {
    if (isForbidden(error)) return false;
    throw error;
  }
}

/** Connections that a machine of so much memory has room for. Pure. */
export function connectionsFor(memoryBytes: number): number {
  return Math.floor((memoryBytes * SHARE_OF_MEMORY) / BYTES_PER_CONNECTION);
}

/** Part of the machine's table that all slots together may fill: the rest is the machine's own. */
const SHARE_OF_SLOTS = 1 / 2;

/** Connections that all slots together may have in the machine's table as it is now. */
export async function connectionsOfSlots(memoryBytes = totalmem()): Promise<number> {
  const bound = Number((await readSetting(CONNECTION_TABLE)) ?? "0");
  return Math.max(1, Math.floor((bound === 0 ? connectionsFor(memoryBytes) : bound) * SHARE_OF_SLOTS));
}
