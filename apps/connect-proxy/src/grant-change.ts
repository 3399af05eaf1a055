// Which grants a change of routes, revocations or keys may have ended: one tenant's changes cost the others' streams nothing.
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import type { TableChange } from "@sallyport/dataplane/routes";

export function concerns(change: TableChange, grant: ConnectGrant): boolean {
  return change.keysChanged || change.sandboxIds.has(grant.sandboxId);
}
