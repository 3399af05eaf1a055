// Which subnet the uplink takes: the one that it has, or a free one.

import { firstUplinkIndex, UPLINK_COUNT, type UplinkAddresses, uplinkAddresses } from "./addresses.ts";
import type { WorkerNetworkOptions } from "./contract.ts";
import { NetworkError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { isFree, readRoutes } from "./never.ts";

/** Throws NetworkError `SetupFailed` where none is free. */
export async function chooseUplink(
  options: Pick<WorkerNetworkOptions, "platformId" | "uplinkIndex">,
  journal: Journal,
): Promise<UplinkAddresses> {
  const known = options.uplinkIndex ?? (await journal.uplinkIndex());
  if (known !== undefined) {
    await journal.setUplinkIndex(known);
    return uplinkAddresses(options.platformId, known);
  }
  const routes = await readRoutes();
  const first = firstUplinkIndex(options.platformId);
  for (let tried = 0; tried < UPLINK_COUNT; tried++) {
    const uplink = uplinkAddresses(options.platformId, (first + tried) % UPLINK_COUNT);
    if (!isFree(uplink.subnet4, routes)) continue;
    await journal.setUplinkIndex(uplink.index);
    return uplink;
  }
  throw new NetworkError("SetupFailed", "no /30 of 169.254.64.0/18 is free for the uplink");
}
