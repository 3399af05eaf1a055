// Where a request comes from, as the app is told: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239). What a
// client says of itself counts only where the client is a proxy of the operator's.

import { isIP } from "node:net";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { plainAddress } from "@sallyport/edge";
import type { RequestFacts } from "./exchange.ts";
import { lastingHeader } from "./head/write-head.ts";

/** There is no other. */
const SCHEME: RequestFacts["scheme"] = "https";

/** What a trusted proxy said so far, as it came: a header that came in several lines is several values. */
export interface ToldSoFar {
  readonly for: string[];
  readonly proto: string[];
  readonly host: string[];
  readonly forwarded: string[];
}

/** Adds the headers for the app; `told` is what a trusted peer said, undefined where the peer is none. */
export function addForwarded(to: RawHeader[], { host, peerAddress }: RequestFacts, told?: ToldSoFar): void {
  if (told === undefined) {
    for (const header of ownHeaders(peerAddress, host)) to.push(header);
    return;
  }
  const address = plainAddress(peerAddress);
  to.push(
    ["X-Forwarded-For", joined([...told.for, address])],
    ["X-Forwarded-Proto", joined(told.proto) || SCHEME],
    ["X-Forwarded-Host", joined(told.host) || host],
    ["Forwarded", joined([...told.forwarded, ownElement(address, host)])],
  );
}

/** By the peer's address: what is said of its requests for the host that it asked last. */
const known = new Map<string, { readonly host: string; readonly headers: readonly RawHeader[] }>();
/** The most addresses that are known; all are forgotten when there are more. */
const MAX_KNOWN = 2_048;

/** Of a client that nobody spoke for: the same for all its requests for a host. */
function ownHeaders(peerAddress: string, host: string): readonly RawHeader[] {
  const last = known.get(peerAddress);
  if (last?.host === host) return last.headers;
  // A copy: a slice would keep alive the whole head that it was cut from.
  const own = Buffer.from(host, "latin1").toString("latin1");
  const address = plainAddress(peerAddress);
  const headers = [
    lastingHeader("X-Forwarded-For", address),
    lastingHeader("X-Forwarded-Proto", SCHEME),
    lastingHeader("X-Forwarded-Host", own),
    lastingHeader("Forwarded", ownElement(address, own)),
  ];
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(peerAddress, { host: own, headers });
  return headers;
}

function ownElement(address: string, host: string): string {
  return `for=${node(address)};host="${host}";proto=${SCHEME}`;
}

/** A node of RFC 7239, section 6: IPv6 in brackets and quotes; what is no address (a Unix socket) is `unknown`. */
function node(address: string): string {
  const family = isIP(address);
  return family === 4 ? address : family === 6 ? `"[${address}]"` : "unknown";
}

function joined(values: readonly string[]): string {
  return values.filter((value) => value.trim() !== "").join(", ");
}
