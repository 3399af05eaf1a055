// What the rules are told of a request of HTTP/1, and what is known of one that they never hear of.
import { BadMessage, malformed } from "../bad-message.ts";
import type { RefusalAbout, RequestFacts } from "../exchange.ts";
import type { NamedHost } from "../head/host.ts";
import type { RequestHead } from "../head/request-head.ts";
import type { Client } from "./place.ts";

/** Throws `BadMessage` for a head whose host is none, or not the one that the connection was made to. */
export function factsOf(
  head: RequestHead | undefined,
  { peerAddress, servername }: Client,
  readHost: (host: string) => NamedHost,
  requestId: string,
): RequestFacts {
  if (head === undefined) throw malformed("there is no head");
  const { endToEnd, headers, host, method, notes, target } = head;
  const { name, sandboxId } = readHost(host);
  if (name === undefined) throw malformed("Host is no name of a host");
  if (sandboxId === undefined || name !== servername) {
    throw new BadMessage("MisdirectedRequest", "Host is not the one that the connection was made to");
  }
  const isWebSocket = head.webSocketKey !== undefined;
  return {
    method,
    target,
    sandboxId,
    host,
    headers,
    endToEnd,
    peerAddress,
    scheme: "https",
    isWebSocket,
    requestId,
    notes,
  };
}

/** Of a request that became no facts: as much as is known. */
export function aboutOf(head: RequestHead | undefined, { peerAddress }: Client, requestId: string): RefusalAbout {
  if (head === undefined) return { peerAddress, requestId };
  const { endToEnd, headers, host, method, target } = head;
  return { method, target, host, headers, endToEnd, peerAddress, requestId };
}
