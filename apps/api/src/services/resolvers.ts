// Resolvers that a create names (law 19): for allow-listed sandboxes only, and only such as the policy itself reaches.
import { invalidArgument } from "@sallyport/appkit/errors";
import type { NetworkPolicy } from "@sallyport/policy";
import { evaluate, formatAddress, parseAddress } from "@sallyport/policy";
import { MAX_RESOLVERS } from "../domain/limits.ts";
import type { Db } from "../store/database.ts";
import { listFleet } from "../store/fleet.ts";

const DNS_PORT = 53;

/** Addresses in canonical form. Throws InvalidArgument. */
export function checkDns(dns: readonly string[]): readonly string[] {
  if (dns.length > MAX_RESOLVERS) throw invalidArgument("dns", `must be at most ${MAX_RESOLVERS}`, "name fewer");
  const kept: string[] = [];
  dns.forEach((text, index) => {
    const address = parseAddress(text);
    if (address === undefined) {
      throw invalidArgument(`dns[${index}]`, "is no IP address", 'name resolvers by address, e.g. "198.51.100.53"');
    }
    const canonical = formatAddress(address);
    if (kept.includes(canonical)) throw invalidArgument(`dns[${index}]`, "is there twice", "name each once");
    kept.push(canonical);
  });
  return kept;
}

/** For a create. Throws InvalidArgument where the policy is no allow list, or does not reach one of them. */
export async function checkResolvers(
  tx: Db,
  policy: NetworkPolicy,
  grants: readonly string[],
  dns: readonly string[],
): Promise<void> {
  if (dns.length === 0) return;
  if (typeof policy === "string") {
    const hint = policy === "open" ? "an open sandbox has a resolver of the platform's" : "a blocked one reaches none";
    throw invalidArgument("dns", "is for a sandbox with an allow list", `leave it out: ${hint}`);
  }
  const missed = await firstUnreached(tx, policy, grants, dns);
  if (missed === undefined) return;
  const { index, why } = missed;
  throw invalidArgument(`dns[${index}]`, `the policy does not reach it: ${why}`, `allow ${allowHint(dns, index)}`);
}

/** For an update: what is not blocked must still reach the resolvers that the sandbox has for life. Throws InvalidArgument. */
export async function checkStillReached(
  tx: Db,
  policy: NetworkPolicy,
  grants: readonly string[],
  dns: readonly string[],
): Promise<void> {
  if (dns.length === 0 || policy === "blocked") return;
  const missed = await firstUnreached(tx, policy, grants, dns);
  if (missed === undefined) return;
  const { index, why } = missed;
  throw invalidArgument(
    "network",
    `does not reach ${dns[index]}, a resolver that the sandbox was created with: ${why}`,
    `allow ${allowHint(dns, index)} too, or block everything`,
  );
}

function allowHint(dns: readonly string[], index: number): string {
  return `{ cidr: "${dns[index]}", ports: [${DNS_PORT}] }`;
}

async function firstUnreached(
  tx: Db,
  policy: NetworkPolicy,
  grants: readonly string[],
  dns: readonly string[],
): Promise<{ readonly index: number; readonly why: string } | undefined> {
  const ownAddresses = await listFleet(tx);
  for (const [index, address] of dns.entries()) {
    for (const protocol of ["udp", "tcp"] as const) {
      const { allowed, why } = evaluate(policy, grants, { address, protocol, port: DNS_PORT }, { ownAddresses });
      if (!allowed) return { index, why };
    }
  }
  return undefined;
}
