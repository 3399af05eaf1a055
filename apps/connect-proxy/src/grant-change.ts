// Which grants a change of routes, revocations or keys may have ended: one tenant's changes cost the others' streams nothing.
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import type { TableChange } from "@sallyport/dataplane/routes";
import type { RefusalCode } from "./exchange.ts";

const LOST: Readonly<Record<string, RefusalCode>> = {
  Expired: "TokenExpired",
  SandboxEnded: "SandboxEnded",
  UnknownSandbox: "UnknownSandbox",
};

/** What a request is refused for whose grant does not hold any more: by the problem that `GrantWatch` names. */
export function refusalOfLost(problem: string): RefusalCode {
  return LOST[problem] ?? "TokenRevoked";
}

export function concerns(change: TableChange, grant: ConnectGrant): boolean {
  return change.keysChanged || change.sandboxIds.has(grant.sandboxId);
}
