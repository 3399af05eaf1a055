// Connections that wait to be taken where a process stops to listen, as a tunnel-edge that is replaced does at its raw ports:
// the kernel moves them to another process that listens at the same address and port (SO_REUSEPORT), instead of resetting
// them. Since Linux 5.14; a setting of the whole network namespace.

import { isForbidden, readSetting, writeSetting } from "./settings.ts";

export const MIGRATION = "ipv4/tcp_migrate_req";

/** Switches it on; not in a namespace that may not, and not where the kernel is older. */
export async function migrateConnections(): Promise<void> {
  if ((await readSetting(MIGRATION)) !== "0") return;
  try {
    await writeSetting(MIGRATION, "1");
  } catch (error) {
    if (!isForbidden(error)) throw error;
  }
}
