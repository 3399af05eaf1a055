// What of a stream's head the rules have to know, and whether it is for this connection at all.
import { BadMessage, malformed } from "../bad-message.ts";
import type { RequestFacts } from "../exchange.ts";
import type { ClientAddress, StreamPlace } from "./place.ts";
import type { StreamHead } from "./stream-head.ts";

/** Throws {@link BadMessage}. */
export function requestFacts(
  head: StreamHead,
  requestId: string,
  { peerAddress, servername }: ClientAddress,
  readHost: StreamPlace["readHost"],
): RequestFacts {
  const { endToEnd, headers, host, method, notes, target } = head;
  // Browsers send requests for any host of a certificate over one connection; here each connection is for one host.
  const { name, sandboxId } = readHost(host);
  if (name === undefined) throw malformed("the authority is no name of a host");
  if (sandboxId === undefined || name !== servername) throw new BadMessage("MisdirectedRequest", `not ${servername}`);
  return {
    method,
    target,
    sandboxId,
    host,
    headers,
    endToEnd,
    peerAddress,
    scheme: "https",
    isWebSocket: false,
    requestId,
    notes,
  };
}
