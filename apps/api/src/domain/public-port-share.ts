// How many of the public ports one workspace may have, where the operator says nothing.
import type { PortRange } from "./declared-port.ts";
import { MAX_DECLARED_PORTS, PUBLIC_PORT_SHARES } from "./limits.ts";

/** A part of the range, and never less than one sandbox may declare. */
export function publicPortShare(range: PortRange | undefined): number {
  if (range === undefined) return 0;
  return Math.max(MAX_DECLARED_PORTS, Math.ceil((range.to - range.from + 1) / PUBLIC_PORT_SHARES));
}
