// What the policy of a sandbox says to a destination, and what would change it.
import { AppError } from "@sallyport/appkit/errors";
import { explain, PolicyError } from "@sallyport/policy";
import { listFleet } from "../store/fleet.ts";
import { readGrants } from "../store/network.ts";
import type { ServiceDeps } from "./deps.ts";
import { getSandbox } from "./sandboxes.ts";

export interface Explanation {
  readonly allowed: boolean;
  readonly rule: string;
  readonly why: string;
  /** Empty where nothing can change it. */
  readonly hint: string;
}

/** By the newest policy and today's grants. Throws InvalidArgument, SandboxEnded. */
export async function explainDestination(
  workspaceId: string,
  deps: ServiceDeps,
  sandboxId: string,
  destination: string,
): Promise<Explanation> {
  const { sandbox } = await getSandbox(workspaceId, deps, sandboxId);
  if (sandbox.state === "ended") {
    throw new AppError("SandboxEnded", `${sandboxId} has ended`, { field: "sandbox_id" });
  }
  const [grants, ownAddresses] = await Promise.all([readGrants(workspaceId, deps.db), listFleet(deps.db)]);
  try {
    const { allowed, rule, why, hint } = explain(sandbox.network, grants, destination, { ownAddresses });
    const pending = sandbox.networkPending ? " (this policy is not in the kernel yet: the one before still holds)" : "";
    return { allowed, rule, why: `${why}${pending}`, hint };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const { message, field, hint } = error;
    throw new AppError("InvalidArgument", message, { field, hint, cause: error });
  }
}
