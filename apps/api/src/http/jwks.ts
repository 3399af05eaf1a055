// The published keys (RFC 7517): by them anybody verifies connect tokens and what edges assert to apps.
import type { RawRoute } from "@sallyport/appkit/http";
import { commonHeaders } from "@sallyport/appkit/http";
import { PublishedKeys } from "../services/assertion-keys.ts";
import type { ServiceDeps } from "../services/deps.ts";

/** A key signs assertions from the moment it is published: whoever keeps the set reads it again for a key it misses. */
const CACHE_CONTROL = "public, max-age=60";

/** `GET /.well-known/jwks.json`, for everybody. */
export function publishedKeys(deps: ServiceDeps): RawRoute {
  const keys = new PublishedKeys();
  return {
    verb: "GET",
    path: "/.well-known/jwks.json",
    matches: () => true,
    async handle({ requestId }) {
      const headers = { ...commonHeaders(requestId), "Cache-Control": CACHE_CONTROL };
      return new Response(await keys.read(deps), {
        headers: { ...headers, "Content-Type": "application/jwk-set+json" },
      });
    },
  };
}
