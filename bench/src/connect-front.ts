// A front of the benchmark "connect": its clients name a host and show tokens.
import type { Front, Place } from "./front.ts";
import { startFront } from "./front.ts";

interface Expected {
  /** The host that clients name: in `Host`, and by SNI. */
  readonly host: string;
  /** Each request carries the next one; none when empty. */
  readonly tokens: readonly string[];
}

export interface ConnectFront extends Front, Expected {}

/** At 127.0.0.1. */
export async function startConnectFront(
  { host, tokens, ...place }: Omit<Place, "address"> & Expected,
  argv: readonly [string, ...string[]],
): Promise<ConnectFront> {
  return { ...(await startFront({ ...place, address: "127.0.0.1" }, argv)), host, tokens };
}
