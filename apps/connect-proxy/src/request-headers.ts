// The headers of a request as the app gets them: what the platform says about the client is the platform's alone.

import type { ConnectGrant, RawHeader } from "@sallyport/connect-token/verify";
import { ASSERTION_HEADER, takeFromQuery, USER_DATA_HEADER } from "@sallyport/connect-token/verify";
import type { RequestFacts } from "./exchange.ts";
import type { ToldSoFar } from "./forwarded.ts";
import { addForwarded } from "./forwarded.ts";
import { flatName, rememberedByName } from "./header-names.ts";

/**
 * What becomes of a client's header.
 *
 * - `keep`: goes on byte for byte.
 * - `drop`: said by the platform alone, whoever the client is.
 * - `peer`: apps believe it since only proxies say it; goes on if a trusted peer says it. `peer-url` may quote the token.
 * - the rest: what `forwardedHeaders` continues.
 */
type Fate = "keep" | "drop" | "peer" | "peer-url" | "for" | "proto" | "host" | "forwarded";

const FATES: Readonly<Record<string, Fate>> = {
  "x-request-id": "drop",
  // Becomes HTTP_PROXY in a CGI program, and with it the proxy of all that this program asks (httpoxy).
  proxy: "drop",
  "x-forwarded-for": "for",
  "x-forwarded-proto": "proto",
  "x-forwarded-host": "host",
  forwarded: "forwarded",
  "x-real-ip": "peer",
  "x-client-ip": "peer",
  "x-cluster-client-ip": "peer",
  "true-client-ip": "peer",
  "cf-connecting-ip": "peer",
  "fastly-client-ip": "peer",
  // Frameworks take the path from these instead of from the request line.
  "x-original-uri": "peer-url",
  "x-original-url": "peer-url",
  "x-rewrite-url": "peer-url",
  "x-forwarded-uri": "peer-url",
};

/** Headers that are read here under their one name: another spelling is for a reader who takes it for the same. */
const ONE_SPELLING: ReadonlySet<string> = new Set(["authorization", "cookie", "host", "origin", "referer"]);

const fateOf = rememberedByName<Fate>((name) => {
  const flat = flatName(name);
  if (Object.hasOwn(FATES, flat)) return FATES[flat] ?? "drop";
  if (flat.includes("x-verified-")) return "drop";
  if (flat.startsWith("x-forwarded-")) return "peer";
  return ONE_SPELLING.has(flat) && flat !== name.toLowerCase() ? "drop" : "keep";
});

export interface ForApp {
  /** End to end, without the token. */
  readonly headers: readonly RawHeader[];
  readonly grant: ConnectGrant;
  /** Undefined: none can be made, since no key for it is published. */
  readonly assertion: string | undefined;
  readonly isTrustedPeer: boolean;
}

/**
 * The headers for the app, complete but for framing and `Connection`. What is added comes last, so that nothing a client
 * says can take it away again.
 */
export function requestHeaders(facts: RequestFacts, { assertion, grant, headers, isTrustedPeer }: ForApp): RawHeader[] {
  const result: RawHeader[] = [];
  const told: ToldSoFar | undefined = isTrustedPeer ? { for: [], proto: [], host: [], forwarded: [] } : undefined;
  for (const header of headers) {
    const fate = fateOf(header[0]);
    if (fate === "keep") result.push(header);
    else if (fate === "drop" || told === undefined) continue;
    else if (fate === "peer") result.push(header);
    else if (fate === "peer-url") result.push([header[0], takeFromQuery(header[1]).rest]);
    else told[fate].push(header[1]);
  }
  addForwarded(result, facts, told);
  result.push(["X-Request-Id", facts.requestId]);
  if (grant.userData !== undefined) result.push([USER_DATA_HEADER, grant.userData]);
  if (assertion !== undefined) result.push([ASSERTION_HEADER, assertion]);
  return result;
}
