// Gives the declared ports of a new sandbox their public addresses, in the transaction of its create.
import { AppError } from "@sallyport/appkit/errors";
import type { DeclaredPort, Tunnel } from "../domain/declared-port.ts";
import { newTunnelLabel } from "../domain/declared-port.ts";
import type { Db } from "../store/database.ts";
import { countPublicPorts, takePublicPorts } from "../store/tunnels.ts";
import type { TunnelAddress } from "./deps.ts";

/**
 * Throws FailedPrecondition where no raw ports are offered, ResourceExhausted where none is free, or the workspace has its
 * share of them. The workspace is locked.
 */
export async function allocateTunnels(
  workspaceId: string,
  tx: Db,
  address: TunnelAddress,
  sandboxId: string,
  ports: readonly DeclaredPort[],
): Promise<readonly Tunnel[]> {
  const count = ports.filter(({ kind }) => kind === "raw").length;
  const publicPorts = count === 0 ? [] : await take(workspaceId, tx, address, { sandboxId, count });
  const left = publicPorts.values();
  return ports.map((port) => ({
    ...port,
    label: newTunnelLabel(),
    publicPort: port.kind === "raw" ? left.next().value : undefined,
  }));
}

async function take(
  workspaceId: string,
  tx: Db,
  { rawPorts: range, rawPortsPerWorkspace: share, rawRestMs: restMs }: TunnelAddress,
  { sandboxId, count }: { readonly sandboxId: string; readonly count: number },
): Promise<readonly number[]> {
  if (range === undefined) {
    throw new AppError("FailedPrecondition", "unencrypted_ports: this platform offers no raw ports", {
      field: "unencrypted_ports",
      hint: "use encrypted_ports, or have the operator set SALLYPORT_TUNNEL_RAW_PORTS",
    });
  }
  const used = await countPublicPorts(workspaceId, tx, { range, restMs });
  if (used + count > share) {
    const problem = `the workspace's share of public ports is ${share}: ${used} in use or resting, ${count} asked for`;
    throw new AppError("ResourceExhausted", `unencrypted_ports: ${problem}`, {
      field: "unencrypted_ports",
      hint:
        `use encrypted_ports, end other sandboxes (a port rests for ${Math.ceil(restMs / 1_000)} s then), ` +
        "or have the operator raise SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE",
      retryAfterMs: 1_000,
    });
  }
  const taken = await takePublicPorts(tx, sandboxId, { count, range, restMs });
  if (taken.length === count) return taken;
  throw new AppError("ResourceExhausted", `unencrypted_ports: all public ports are in use, or rest`, {
    field: "unencrypted_ports",
    hint: "use encrypted_ports, end other sandboxes, or have the operator widen SALLYPORT_TUNNEL_RAW_PORTS",
    retryAfterMs: 1_000,
  });
}
