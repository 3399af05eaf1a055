// The hosts of the connect domain at the door: who may be certified, and what a connection that asks for one speaks.
import type { RouteTable } from "@sallyport/dataplane/routes";
import type { Answer, DoorAnswer, ServedHosts } from "@sallyport/edge";
import { sandboxOf } from "./head/host.ts";

export interface DoorRuleOptions {
  readonly connectDomain: string;
  /** Whether HTTP/2 is offered. */
  readonly http2: boolean;
}

/** In the order of preference (RFC 7301, section 6): clients of HTTP/1.0 say so, too. */
const HTTP1_PROTOCOLS = ["http/1.1", "http/1.0"];
const UNKNOWN_NAME: DoorAnswer<undefined> = { kind: "refuse", reason: "server-name", alert: "unrecognized_name" };

/** Every host of the connect domain is served, its sandbox known or not: an answer over HTTP says what is wrong. */
export function doorRule({ connectDomain, http2 }: DoorRuleOptions): Answer<undefined> {
  const alpn = http2 ? ["h2", ...HTTP1_PROTOCOLS] : HTTP1_PROTOCOLS;
  return ({ serverName = "" }) => {
    const sandboxId = sandboxOf(serverName, connectDomain);
    return sandboxId === undefined ? UNKNOWN_NAME : { kind: "handshake", way: undefined, sandboxId, alpn };
  };
}

/** One host per sandbox. */
export function connectHosts(connectDomain: string, table: RouteTable): ServedHosts {
  return {
    ofRoute: ({ sandboxId }) => [`${sandboxId}.${connectDomain}`],
    isKnown(host) {
      const sandboxId = sandboxOf(host, connectDomain);
      return sandboxId !== undefined && table.get(sandboxId) !== undefined;
    },
  };
}
