// Thin handlers of what a gateway calls: GatewayService.
import type { BoundService } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import { GatewayServiceService } from "@sallyport/contracts/grpc";
import type { ServiceDeps } from "../services/deps.ts";
import { watchKeys } from "../services/watch-keys.ts";

export function gatewayService(deps: ServiceDeps): BoundService {
  return bindService(GatewayServiceService, {
    async *watchKeys(_request, context) {
      for await (const keys of watchKeys(deps, context.signal)) {
        yield { platformId: deps.platformId, keys: keys.map(({ keyId, jwk }) => ({ keyId, jwk })) };
      }
    },
  });
}
