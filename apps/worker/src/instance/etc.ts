// The platform's files in a sandbox's /etc.
import type { SlotNetwork } from "../network/contract.ts";
import { HOSTNAME } from "../runtime/runsc/spec.ts";
import type { EtcFiles } from "../runtime/runtime.ts";

/**
 * `dns`: addresses of the resolvers that its create names. Unset: the platform's, at the router's address, whatever the
 * policy is now: the router answers a sandbox whose policy is `open` and refuses the others at once, so the file holds
 * through every change of policy.
 */
export function etcFiles(
  sandboxId: string,
  addresses: Pick<SlotNetwork, "ipv4" | "ipv6" | "routerIpv4">,
  dns: readonly string[] = [addresses.routerIpv4],
): EtcFiles {
  return {
    hosts: [
      "127.0.0.1\tlocalhost",
      "::1\tlocalhost ip6-localhost ip6-loopback",
      `${addresses.ipv4}\t${sandboxId} ${HOSTNAME}`,
      `${addresses.ipv6}\t${sandboxId} ${HOSTNAME}`,
      "",
    ].join("\n"),
    hostname: `${sandboxId}\n`,
    // Programs that do not hear refusals (musl's library) wait as long as is written here.
    resolvConf: [...dns.map((address) => `nameserver ${address}`), "options timeout:2 attempts:2", ""].join("\n"),
  };
}
