// Hosts at the door: which are tunnels', which the connect-proxy's, and what a connection that asks for one speaks.
import { isId, isTunnelLabel } from "@sallyport/contracts";
import type { RouteTable } from "@sallyport/dataplane/routes";
import type { Answer, ClientEnds, DoorAnswer, ServedHosts, UnopenedConnection } from "@sallyport/edge";
import type { Way, Ways } from "./ways.ts";
import { isWay } from "./ways.ts";

export interface DoorRuleOptions {
  readonly tunnelDomain: string;
  readonly connectDomain: string;
  readonly ways: Ways;
  /** Takes connections of the connect-proxy's; undefined: its hosts are not served here. */
  readonly handOver: ((connection: UnopenedConnection) => void) | undefined;
}

/** Of bytes that are the app's own, whatever it is: some clients of HTTP alone say what they speak. In the order of preference. */
const ANY_PROTOCOL = ["http/1.1", "http/1.0"];
const HTTP2 = ["h2"];

const UNKNOWN: DoorAnswer<never> = { kind: "refuse", reason: "server-name", alert: "unrecognized_name" };
/** In the words of an unknown name: who may not come learns of no sandbox. */
const NOT_ALLOWED = { kind: "refuse", reason: "not-allowed", alert: "unrecognized_name" } as const;
const NO_PROTOCOL = { kind: "refuse", reason: "alpn", alert: "no_application_protocol" } as const;

/** Names that lead nowhere, of whatever kind, get `unrecognized_name` (RFC 6066, section 3). */
export function doorRule(options: DoorRuleOptions): Answer<Way> {
  const { connectDomain, handOver, tunnelDomain, ways } = options;
  return ({ alpn, serverName = "" }, client: ClientEnds) => {
    const label = tunnelLabelOf(serverName, tunnelDomain);
    if (label === undefined) {
      const isConnect = handOver !== undefined && isConnectHost(serverName, connectDomain);
      return isConnect ? { kind: "hand-over", take: handOver } : UNKNOWN;
    }
    const way = ways.byLabel(label, client.source.address);
    if (way === "unknown") return UNKNOWN;
    if (!isWay(way)) return { ...NOT_ALLOWED, way: way.notAllowed };
    const { sandboxId } = way.route;
    if (way.tunnel.kind !== "h2") return { kind: "handshake", way, sandboxId, alpn: ANY_PROTOCOL };
    // HTTP/2 over TLS is spoken with those alone who ask for it (RFC 9113, section 3.2).
    return alpn.length === 0 ? { ...NO_PROTOCOL, way } : { kind: "handshake", way, sandboxId, alpn: HTTP2 };
  };
}

/** A host per declared port. */
export function tunnelHosts(tunnelDomain: string, table: RouteTable): ServedHosts {
  return {
    ofRoute: ({ tunnels = [] }) => tunnels.map(({ label }) => `${label}.${tunnelDomain}`),
    isKnown(host) {
      const label = tunnelLabelOf(host, tunnelDomain);
      return label !== undefined && table.tunnelByLabel(label) !== undefined;
    },
  };
}

/** The tunnel's label of a name, in lower case; undefined: it is no tunnel's. */
function tunnelLabelOf(name: string, tunnelDomain: string): string | undefined {
  const label = labelBelow(name, tunnelDomain);
  return label !== undefined && isTunnelLabel(label) ? label : undefined;
}

function isConnectHost(name: string, connectDomain: string): boolean {
  return isId("sandbox", labelBelow(name, connectDomain) ?? "");
}

/** The one label that a name has before this domain. */
function labelBelow(name: string, domain: string): string | undefined {
  const dot = name.indexOf(".");
  return dot > 0 && name.slice(dot + 1) === domain ? name.slice(0, dot) : undefined;
}
