// Public addresses of a sandbox's declared ports, and whether edges serve them.
import { AppError } from "@sallyport/appkit/errors";
import type { Tunnel } from "../domain/declared-port.ts";
import { readRouteRevision } from "../store/routes.ts";
import type { SandboxRecord } from "../store/sandboxes.ts";
import { EDGES_TOPIC } from "../store/topics.ts";
import { checkWait } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import type { EdgesAt } from "./edge-acknowledgements.ts";
import { EDGES_LOOK_EVERY_MS, edgesAt } from "./edge-acknowledgements.ts";
import { getSandbox } from "./sandboxes.ts";
import { hostUrl } from "./urls.ts";
import { waitUntil } from "./wait-until.ts";

/** A tunnel as clients reach it. */
interface TunnelView extends Tunnel {
  readonly host: string;
  readonly tlsPort: number;
  readonly url: string;
  readonly rawHost: string;
}

export interface ListedTunnels {
  readonly tunnels: readonly TunnelView[];
  readonly live: boolean;
  readonly staleEdges: readonly string[];
  readonly edges: number;
  /** Empty where public authorities vouch for the tunnel domain. */
  readonly caPem: string;
}

/**
 * Answers as soon as every tunnel-edge that can be reached acts on the route that the sandbox has now, or the time is over.
 * Throws InvalidArgument, NotFound, SandboxEnded; rejects with the signal's reason.
 */
export async function listTunnels(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly sandboxId: string; readonly waitMs: number },
  signal: AbortSignal,
): Promise<ListedTunnels> {
  const waitMs = checkWait(request.waitMs);
  const { tunnels } = await getLiving(workspaceId, deps, request.sandboxId);
  const revision = await readRouteRevision(deps.db, request.sandboxId);
  const { hub, clock } = deps;
  const wait = { hub, clock, topic: EDGES_TOPIC, waitMs: tunnels.length === 0 ? 0 : waitMs, signal };
  let state: EdgesAt = { fresh: 0, behind: [] };
  await waitUntil({ ...wait, lookEveryMs: EDGES_LOOK_EVERY_MS }, async () => {
    state = await edgesAt(deps.db, "tunnel", revision ?? Number.MAX_SAFE_INTEGER);
    await getLiving(workspaceId, deps, request.sandboxId);
    return isLive(state) ? true : undefined;
  });
  return {
    tunnels: tunnels.map((tunnel) => toView(deps, tunnel)),
    live: isLive(state),
    staleEdges: state.behind.filter((edge) => edge.isStale).map((edge) => edge.id),
    edges: state.fresh,
    caPem: (await deps.tunnelAuthority.certificate())?.certificatePem ?? "",
  };
}

function isLive({ fresh, behind }: EdgesAt): boolean {
  return fresh > 0 && behind.every((edge) => edge.isStale);
}

async function getLiving(workspaceId: string, deps: ServiceDeps, sandboxId: string): Promise<SandboxRecord> {
  const record = await getSandbox(workspaceId, deps, sandboxId);
  const { state } = record.sandbox;
  if (state !== "ended" && state !== "stopping") return record;
  const problem = `${sandboxId} ${state === "ended" ? "has ended" : "is being ended"}`;
  throw new AppError("SandboxEnded", problem, { field: "sandbox_id" });
}

function toView({ tunnels: { domain, port, rawHost } }: ServiceDeps, tunnel: Tunnel): TunnelView {
  const host = `${tunnel.label}.${domain}`;
  return { ...tunnel, host, tlsPort: port, url: hostUrl(host, port), rawHost };
}
