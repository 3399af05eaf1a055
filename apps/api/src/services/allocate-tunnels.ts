// Gives the declared ports of a new sandbox their public addresses, in the transaction of its create.
import { AppError } from "@sallyport/appkit/errors";
import type { DeclaredPort, Tunnel } from "../domain/declared-port.ts";
import { newTunnelLabel } from "../domain/declared-port.ts";
import type { Db } from "../store/database.ts";
import { takePublicPorts } from "../store/tunnels.ts";
import type { TunnelAddress } from "./deps.ts";

/** Throws FailedPrecondition where no raw ports are offered, ResourceExhausted where none is free. */
export async function allocateTunnels(
  tx: Db,
  { rawPorts, rawRestMs }: TunnelAddress,
  sandboxId: string,
  ports: readonly DeclaredPort[],
): Promise<readonly Tunnel[]> {
  const count = ports.filter(({ kind }) => kind === "raw").length;
  const publicPorts = count === 0 ? [] : await take(tx, sandboxId, { count, range: rawPorts, restMs: rawRestMs });
  const left = publicPorts.values();
  return ports.map((port) => ({
    ...port,
    label: newTunnelLabel(),
    publicPort: port.kind === "raw" ? left.next().value : undefined,
  }));
}

async function take(
  tx: Db,
  sandboxId: string,
  wanted: { readonly count: number; readonly range: TunnelAddress["rawPorts"]; readonly restMs: number },
): Promise<readonly number[]> {
  const { range, count, restMs } = wanted;
  if (range === undefined) {
    throw new AppError("FailedPrecondition", "unencrypted_ports: this platform offers no raw ports", {
      field: "unencrypted_ports",
      hint: "use encrypted_ports, or have the operator set SALLYPORT_TUNNEL_RAW_PORTS",
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
