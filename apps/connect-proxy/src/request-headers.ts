// The headers of a request as the app gets them: what the platform says about the client is the platform's alone.

import type { ConnectGrant, RawHeader } from "@sallyport/connect-token/verify";
import { ASSERTION_HEADER, takeFromQuery, USER_DATA_HEADER } from "@sallyport/connect-token/verify";
import type { RequestFacts } from "./exchange.ts";
import type { ToldSoFar } from "./forwarded.ts";
import { addForwarded } from "./forwarded.ts";
import { headerLines, inOnePiece, lastingHeader } from "./head/write-head.ts";
import { flatName, rememberedByName } from "./header-names.ts";

/**
 * What becomes of a client's header.
 *
 * - `keep`: goes on byte for byte.
 * - `drop`: said by the platform alone, whoever the client is.
 * - `peer`: apps believe it since only proxies say it; goes on if a trusted peer says it.
 * - the rest: what `forwardedHeaders` continues.
 */
type Fate = "keep" | "drop" | "peer" | "for" | "proto" | "host" | "forwarded";

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
  "x-envoy-external-address": "peer",
  "x-host": "peer",
  "x-original-forwarded-for": "peer",
  "x-original-host": "peer",
  "x-originating-ip": "peer",
  "x-proxyuser-ip": "peer",
  "x-appengine-user-ip": "peer",
  "x-azure-clientip": "peer",
  "client-ip": "peer",
  "forwarded-for": "peer",
  "proxy-client-ip": "peer",
  "wl-proxy-client-ip": "peer",
  "true-client-ip": "peer",
  "cf-connecting-ip": "peer",
  "fastly-client-ip": "peer",
  "fly-client-ip": "peer",
  "remote-user": "peer",
  "x-authenticated-user": "peer",
  // Frameworks take the path from these instead of from the request line.
  "x-original-uri": "peer",
  "x-original-url": "peer",
  "x-rewrite-url": "peer",
  "x-forwarded-uri": "peer",
};

/** Beginnings of names under which proxies tell apps of clients, and of people whom they have authenticated. */
const PEERS =
  /^x-(?:client-cert|(?:forwarded|remote|webauth|auth-request|ssl-client|goog-authenticated|ms-client|amzn-oidc)(?:-|$))/;

/** Headers that are read here under their one name: another spelling is for a reader who takes it for the same. */
const ONE_SPELLING: ReadonlySet<string> = new Set(["authorization", "cookie", "host", "origin", "referer"]);

const fateOf = rememberedByName<Fate>((name) => {
  const flat = flatName(name);
  if (Object.hasOwn(FATES, flat)) return FATES[flat] ?? "drop";
  if (flat.includes("x-verified-")) return "drop";
  if (PEERS.test(flat)) return "peer";
  return ONE_SPELLING.has(flat) && flat !== name.toLowerCase() ? "drop" : "keep";
});

export interface ForApp {
  /** End to end, without the token. */
  readonly headers: readonly RawHeader[];
  readonly grant: ConnectGrant;
  /** That was taken out: whatever else holds it stays behind, too. */
  readonly token: string;
  /** Undefined: none can be made, since no key for it is published. */
  readonly assertion: string | undefined;
  readonly isTrustedPeer: boolean;
}

/**
 * The headers for the app, complete but for framing and `Connection`. What is added comes last, so that nothing a client
 * says can take it away again.
 */
export function requestHeaders(facts: RequestFacts, forApp: ForApp): RawHeader[] {
  const result = beforeId(facts, forApp);
  result.push(["X-Request-Id", facts.requestId]);
  for (const header of verified(forApp.grant, forApp.assertion)) result.push(header);
  return result;
}

/** Lines for the app, but for the id between them. */
export interface LinesForApp {
  /** Up to the value of `X-Request-Id`. */
  readonly before: string;
  readonly after: string;
}

/** The same as lines. Throws `TypeError` if they must not be written. */
export function requestLines(facts: RequestFacts, forApp: ForApp): LinesForApp {
  return {
    before: inOnePiece(`${headerLines(beforeId(facts, forApp))}X-Request-Id: `),
    after: inOnePiece(`\r\n${headerLines(verified(forApp.grant, forApp.assertion))}`),
  };
}

function beforeId(facts: RequestFacts, { headers, isTrustedPeer, token }: ForApp): RawHeader[] {
  const result: RawHeader[] = [];
  const told: ToldSoFar | undefined = isTrustedPeer ? { for: [], proto: [], host: [], forwarded: [] } : undefined;
  for (const came of headers) {
    const fate = fateOf(came[0]);
    if (fate === "drop" || (fate !== "keep" && told === undefined)) continue;
    const header = came[1].length >= token.length ? withoutToken(came, token) : came;
    if (header === undefined) continue;
    if (told === undefined || fate === "keep" || fate === "peer") result.push(header);
    else told[fate].push(header[1]);
  }
  addForwarded(result, facts, told);
  return result;
}

/** By the grant: its headers with its last assertion. */
const verifiedHeaders = new WeakMap<ConnectGrant, { assertion: string | undefined; headers: readonly RawHeader[] }>();

/** What the platform says of whoever came: the same for all requests of a token while its assertion is the same. */
function verified(grant: ConnectGrant, assertion: string | undefined): readonly RawHeader[] {
  const last = verifiedHeaders.get(grant);
  if (last !== undefined && last.assertion === assertion) return last.headers;
  const headers: RawHeader[] = [];
  if (grant.userData !== undefined) headers.push(lastingHeader(USER_DATA_HEADER, grant.userData));
  if (assertion !== undefined) headers.push(lastingHeader(ASSERTION_HEADER, assertion));
  verifiedHeaders.set(grant, { assertion, headers });
  return headers;
}

/**
 * A header without the token where that stands in some other way than the known ones: in a cookie of another name, in a
 * URL, inside another value. Undefined if it cannot be told from the rest.
 */
function withoutToken(header: RawHeader, token: string): RawHeader | undefined {
  const [name, value] = header;
  if (!value.includes(token)) return header;
  const rest =
    name.toLowerCase() === "cookie"
      ? value
          .split(";")
          .filter((pair) => !pair.includes(token))
          .join(";")
          .trimStart()
      : takeFromQuery(value).rest;
  return rest === "" || rest.includes(token) ? undefined : [name, rest];
}
