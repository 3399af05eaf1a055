// Raw ports are apart from what has names: cookies know no ports, so an app at a raw port of a host's address would get
// those of the host.
import { once } from "node:events";
import type { Server } from "node:net";
import { plainAddress } from "@sallyport/edge";

/** Rejects when one of these listening sockets is at the address of raw ports. */
export async function checkApart(rawAddress: string, listeners: readonly Server[]): Promise<void> {
  for (const listener of listeners) {
    if (!listener.listening) await once(listener, "listening");
    const place = listener.address();
    if (place === null || typeof place === "string" || plainAddress(place.address) !== plainAddress(rawAddress))
      continue;
    throw new Error(`SALLYPORT_TUNNEL_RAW_ADDRESS: hosts have names at ${rawAddress}; name another address`);
  }
}
