// Where a request's client is: at the other end of the connection, or where the operator's own proxies say that it is. Who
// may come to a sandbox is decided by it.
import { isIP } from "node:net";
import { plainAddress } from "@sallyport/edge";
import type { RequestFacts } from "./exchange.ts";

/**
 * The client's address; empty where a trusted proxy names none, which is nobody's. Each proxy adds at the end of
 * X-Forwarded-For whom it heard, so the last one there that is no proxy of the operator's is the client; what stands before
 * it the client may have made up. Where all of them are the operator's, the first one is.
 */
export function clientAddress(
  { headers, peerAddress }: Pick<RequestFacts, "headers" | "peerAddress">,
  isTrustedPeer: (address: string) => boolean,
): string {
  const peer = plainAddress(peerAddress);
  if (!isTrustedPeer(peer)) return peer;
  // In this spelling alone: others are a client's own, which a proxy passes on unread.
  const values = headers.filter(([name]) => name.toLowerCase() === "x-forwarded-for").map(([, value]) => value);
  let first = "";
  for (const entry of values.flatMap((value) => value.split(",")).reverse()) {
    first = addressOf(entry.trim());
    if (first === "" || !isTrustedPeer(first)) return first;
  }
  return first;
}

/** Of an address that may have a port, IPv6 with a port in brackets; empty: it is none. */
function addressOf(entry: string): string {
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\](?::\d{1,5})?|(\d[\d.]*)(?::\d{1,5})?)$/.exec(entry) ?? [];
  const address = plainAddress(bracketed ?? dotted ?? entry);
  return isIP(address) === 0 ? "" : address;
}
