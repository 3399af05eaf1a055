// The platform's files in a sandbox's /etc.
import { HOSTNAME } from "../runtime/runsc/spec.ts";
import type { EtcFiles } from "../runtime/runtime.ts";

export function etcFiles(sandboxId: string, addresses: { readonly ipv4: string; readonly ipv6: string }): EtcFiles {
  return {
    hosts: [
      "127.0.0.1\tlocalhost",
      "::1\tlocalhost ip6-localhost ip6-loopback",
      `${addresses.ipv4}\t${sandboxId} ${HOSTNAME}`,
      `${addresses.ipv6}\t${sandboxId} ${HOSTNAME}`,
      "",
    ].join("\n"),
    hostname: `${sandboxId}\n`,
    // No resolver: libc then asks the sandbox's own loopback, where nobody listens, and look-ups fail at once.
    resolvConf: "options attempts:1 timeout:1\n",
  };
}
