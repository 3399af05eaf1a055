// Edges, as the operator sees them, and the certificates that they ask for.
import { AppError } from "@sallyport/appkit/errors";
import { isId, isTunnelLabel } from "@sallyport/contracts";
import type { EdgeRow } from "../store/edges.ts";
import { listEdges } from "../store/edges.ts";
import { holderOfRoute, readHead } from "../store/routes.ts";
import { holderOfLabel } from "../store/tunnels.ts";
import { CertificateRates } from "./certificate-rates.ts";
import type { ServiceDeps } from "./deps.ts";
import type { Leaf } from "./local-authority.ts";
import { meetEdge } from "./watch-routes.ts";

export interface EdgeView extends EdgeRow {
  readonly newestRevision: number;
}

export async function allEdges(deps: ServiceDeps): Promise<readonly EdgeView[]> {
  const [edges, newestRevision] = await Promise.all([listEdges(deps.db), readHead(deps.db)]);
  return edges.map((edge) => ({ ...edge, newestRevision }));
}

/**
 * What clients must trust: of both domains, where both have an authority of ours and it is not the same; the fingerprint
 * is the first one's. Throws FailedPrecondition where public authorities vouch for both.
 */
export async function localAuthority(deps: ServiceDeps) {
  const { authority, tunnelAuthority } = deps;
  const connect = await authority.certificate();
  const tunnels = await tunnelAuthority.certificate();
  const found = [
    { domain: authority.domain, certificate: connect },
    { domain: tunnelAuthority.domain, certificate: tunnels },
  ].flatMap(({ domain, certificate }) => (certificate === undefined ? [] : [{ domain, ...certificate }]));
  const [first] = found;
  if (first !== undefined) {
    const certificatePem = [...new Set(found.map((each) => each.certificatePem))].join("");
    return { certificatePem, fingerprint: first.fingerprint, domains: [...new Set(found.map(({ domain }) => domain))] };
  }
  throw new AppError("FailedPrecondition", `certificates of ${authority.domain} do not come from a local authority`, {
    hint: "whoever issued them is who clients must trust",
  });
}

/** Certificates for edges, within {@link CertificateRates}. */
export class Certificates {
  readonly #rates: CertificateRates;

  constructor(nowMs: () => number) {
    this.#rates = new CertificateRates(nowMs);
  }

  /** Throws InvalidArgument, NotFound (the label of no living tunnel), FailedPrecondition, ResourceExhausted. */
  async issue(
    deps: ServiceDeps,
    request: { readonly edgeId: string; readonly host: string; readonly publicKey: Uint8Array },
  ): Promise<Leaf> {
    const [label = ""] = request.host.split(".", 1);
    const isTunnel = isTunnelLabel(label);
    const holder = isTunnel
      ? await holderOfLabel(deps.db, label)
      : isId("sandbox", label)
        ? await holderOfRoute(deps.db, label)
        : undefined;
    const waitMs = this.#rates.take(holder);
    if (waitMs > 0) {
      throw new AppError("ResourceExhausted", "too many certificates at once", { retryAfterMs: waitMs });
    }
    await meetEdge(deps, request.edgeId, isTunnel ? "tunnel" : "connect");
    if (!isTunnel) return deps.authority.issue(request);
    // No stranger can guess a label, so a refusal tells of nothing that exists.
    if (holder === undefined) throw new AppError("NotFound", "host: there is no such tunnel", { field: "host" });
    return deps.tunnelAuthority.issue(request);
  }
}
