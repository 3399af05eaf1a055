// The host's own addresses: all that its kernel would take for itself, read from the local routing tables.

import { type Cidr, cidrsOverlap, mergeCidrs, parseCidr } from "@sallyport/policy";
import { CommandError, run } from "../system/command.ts";

/**
 * Everything delivered to this host: addresses, broadcast and anycast addresses, local prefixes, of both families,
 * as canonical CIDRs.
 */
export async function readOwnAddresses(signal?: AbortSignal): Promise<string[]> {
  const routes = await Promise.all([
    showRoutes(["-4", "route", "show", "table", "local"], signal),
    showRoutes(["-6", "route", "show", "table", "local"], signal),
  ]);
  return ownAddressesOf(routes.flat());
}

async function showRoutes(args: readonly string[], signal?: AbortSignal): Promise<string[]> {
  try {
    return routesOf((await run(["ip", "-json", ...args], { signal })).stdout);
  } catch (error) {
    // A namespace in which no interface was ever up has no table yet.
    if (error instanceof CommandError && /FIB table does not exist/.test(error.stderr)) return [];
    throw error;
  }
}

/** Pure part: destinations of local routes → canonical CIDRs. */
export function ownAddressesOf(destinations: readonly string[]): string[] {
  const merged = mergeCidrs(destinations.filter((destination) => destination !== "default"));
  return [...merged.v4, ...merged.v6];
}

/** Destinations in `ip -json route` output. */
export function routesOf(json: string): string[] {
  if (json.trim() === "") return [];
  const parsed: unknown = JSON.parse(json);
  if (!Array.isArray(parsed)) return [];
  return parsed.flatMap((route: unknown) =>
    typeof route === "object" && route !== null && "dst" in route && typeof route.dst === "string" ? [route.dst] : [],
  );
}

/** A /16 of link-local that a desktop or cloud-init routes as a whole is no conflict: ours is more specific. */
const WIDEST_CONFLICT = 17;

/** Whether a subnet of link-local space is free of the host's routes, its own addresses among them. Pure. */
export function isFree(subnet: string, destinations: readonly string[]): boolean {
  const wanted = parseCidr(subnet);
  return destinations
    .filter((destination) => destination !== "default")
    .map((destination): Cidr => parseCidr(destination))
    .every((cidr) => cidr.prefix < WIDEST_CONFLICT || !cidrsOverlap(cidr, wanted));
}

/** Destinations of every IPv4 route of this host, in all tables. */
export async function readRoutes(): Promise<string[]> {
  return showRoutes(["-4", "route", "show", "table", "all"]);
}
