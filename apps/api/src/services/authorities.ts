// Which authority vouches for which domain of the platform: one of its own for each, one for both where the two are the same.
import { isId, isTunnelLabel } from "@sallyport/contracts";
import type { LocalAuthority } from "./local-authority.ts";
import { foreignAuthority, openLocalAuthority } from "./local-authority.ts";

interface Domain {
  readonly domain: string;
  /** Whether the platform's own authority vouches for it. */
  readonly isLocal: boolean;
}

type Deps = Parameters<typeof openLocalAuthority>[0];

export async function openAuthorities(
  deps: Deps,
  connect: Domain,
  tunnels: Domain,
): Promise<{ readonly authority: LocalAuthority; readonly tunnelAuthority: LocalAuthority }> {
  const connectName = `connect ${connect.domain}`;
  // Whoever trusts the authority of a shared domain trusts it for both.
  const tunnelName = tunnels.domain === connect.domain ? connectName : `tunnel ${tunnels.domain}`;
  const isSandbox = (label: string) => isId("sandbox", label);
  return {
    authority: await open(deps, connect, { name: connectName, isLabel: isSandbox, labelRule: "the id of a sandbox" }),
    tunnelAuthority: await open(deps, tunnels, {
      name: tunnelName,
      isLabel: isTunnelLabel,
      labelRule: "the label of a tunnel",
    }),
  };
}

function open(
  deps: Deps,
  { domain, isLocal }: Domain,
  scope: Omit<Parameters<typeof openLocalAuthority>[1], "domain">,
): Promise<LocalAuthority> {
  return isLocal ? openLocalAuthority(deps, { ...scope, domain }) : Promise.resolve(foreignAuthority(domain));
}
