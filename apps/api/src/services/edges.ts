// Edges, as the operator sees them, and the certificates that they ask for.
import { AppError } from "@sallyport/appkit/errors";
import { isId } from "@sallyport/contracts";
import { CERTIFICATE_RATE, STRANGE_CERTIFICATE_RATE } from "../domain/limits.ts";
import type { EdgeRow } from "../store/edges.ts";
import { listEdges } from "../store/edges.ts";
import { isRouted, readHead } from "../store/routes.ts";
import type { ServiceDeps } from "./deps.ts";
import type { Leaf } from "./local-authority.ts";
import { RateLimit } from "./rate-limit.ts";
import { meetEdge } from "./watch-routes.ts";

export interface EdgeView extends EdgeRow {
  readonly newestRevision: number;
}

export async function allEdges(deps: ServiceDeps): Promise<readonly EdgeView[]> {
  const [edges, newestRevision] = await Promise.all([listEdges(deps.db), readHead(deps.db)]);
  return edges.map((edge) => ({ ...edge, newestRevision }));
}

/** Throws FailedPrecondition where public authorities vouch for the connect domain. */
export async function localAuthority(deps: ServiceDeps) {
  const certificate = await deps.authority.certificate();
  const { domain } = deps.authority;
  if (certificate !== undefined) return { ...certificate, domains: [domain] };
  throw new AppError("FailedPrecondition", `certificates of ${domain} do not come from a local authority`, {
    hint: "whoever issued them is who clients must trust",
  });
}

/** How many certificates are issued: strangers make edges ask for hosts of sandboxes that there are not. */
export class Certificates {
  readonly #known: RateLimit;
  readonly #strange: RateLimit;

  constructor(nowMs: () => number) {
    this.#known = new RateLimit(CERTIFICATE_RATE, nowMs);
    this.#strange = new RateLimit(STRANGE_CERTIFICATE_RATE, nowMs);
  }

  /** Throws InvalidArgument, FailedPrecondition, ResourceExhausted. */
  async issue(
    deps: ServiceDeps,
    request: { readonly edgeId: string; readonly host: string; readonly publicKey: Uint8Array },
  ): Promise<Leaf> {
    const [sandboxId = ""] = request.host.split(".", 1);
    const isKnown = isId("sandbox", sandboxId) && (await isRouted(deps.db, sandboxId));
    const waitMs = (isKnown ? this.#known : this.#strange).take();
    if (waitMs > 0) {
      throw new AppError("ResourceExhausted", "too many certificates at once", { retryAfterMs: waitMs });
    }
    await meetEdge(deps, request.edgeId);
    return deps.authority.issue(request);
  }
}
