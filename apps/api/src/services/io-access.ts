// Access to the processes of a sandbox: where its gateway is, and a token for this sandbox alone.
import type { SandboxRecord } from "../store/sandboxes.ts";
import type { ServiceDeps } from "./deps.ts";

export interface IoAccess {
  /** host:port. */
  readonly address: string;
  /** Base URL of the same over HTTP; empty when there is none. */
  readonly url: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** Access to a sandbox of this workspace. Whether it may be had yet is the caller's to judge. */
export async function ioAccessOf(
  workspaceId: string,
  deps: Pick<ServiceDeps, "ioTokens">,
  record: SandboxRecord,
): Promise<IoAccess> {
  const grant = { workspaceId, sandboxId: record.sandbox.id, instanceId: record.instanceId };
  return { address: record.ioAddress, url: record.ioUrl, ...(await deps.ioTokens.mint(grant)) };
}
