// Thin handlers of what an edge calls: EdgeService.
import type { BoundService } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import { EdgeServiceService } from "@sallyport/contracts/grpc";
import { publishAssertionKey } from "../services/assertion-keys.ts";
import type { ServiceDeps } from "../services/deps.ts";
import { Certificates } from "../services/edges.ts";
import { leaveEdge } from "../services/leave-edge.ts";
import { watchRoutes } from "../services/watch-routes.ts";
import { toRoutesPart } from "./convert-connect.ts";
import { fromEdgeKind } from "./convert-tunnel.ts";

export function edgeService(deps: ServiceDeps): BoundService {
  const certificates = new Certificates(() => deps.clock.monotonicMs());
  return bindService(EdgeServiceService, {
    async *watchRoutes(request, context) {
      const wanted = { ...request, kind: fromEdgeKind(request.kind) };
      for await (const part of watchRoutes(deps, wanted, context.signal)) yield toRoutesPart(deps.platformId, part);
    },
    async acknowledgeRoutes(request) {
      await deps.acknowledgements.note(deps, request);
      return {};
    },
    async leaveEdge(request) {
      await leaveEdge(deps, request);
      return {};
    },
    async publishAssertionKey(request) {
      await publishAssertionKey(deps, request);
      return {};
    },
    async issueCertificate(request) {
      return certificates.issue(deps, request);
    },
  });
}
