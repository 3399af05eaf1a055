// Where generated messages of declared ports and tunnels end: to and from what the services know. No judgement here.
import type {
  InboundAllowlist,
  ListTunnelsResponse,
  DeclaredPort as PortMessage,
  TunnelRoute,
} from "@sallyport/contracts";
import { EdgeKind as EdgeKindCode, PortKind as KindCode } from "@sallyport/contracts";
import type { DeclaredPort, PortKind, Tunnel } from "../domain/declared-port.ts";
import type { EdgeKind } from "../domain/edge-kind.ts";
import type { ListedTunnels } from "../services/list-tunnels.ts";

const KINDS: Readonly<Record<PortKind, KindCode>> = { tls: KindCode.TLS, h2: KindCode.H2, raw: KindCode.RAW };

export function toDeclaredPort({ port, kind, proxyProtocol }: DeclaredPort): PortMessage {
  return { port, kind: KINDS[kind], proxyProtocol };
}

export function toInbound(cidrs: readonly string[] | undefined): InboundAllowlist | undefined {
  return cidrs === undefined ? undefined : { cidrs: [...cidrs] };
}

export function toTunnelRoute({ port, kind, label, publicPort, proxyProtocol }: Tunnel): TunnelRoute {
  return { port, kind: KINDS[kind], label, publicPort, proxyProtocol };
}

export function toTunnels({ tunnels, live, staleEdges, edges, caPem }: ListedTunnels): ListTunnelsResponse {
  return {
    tunnels: tunnels.map(({ port, kind, host, tlsPort, url, rawHost, publicPort, proxyProtocol }) => ({
      port,
      kind: KINDS[kind],
      host,
      tlsPort,
      url,
      tcpHost: publicPort === undefined ? undefined : rawHost,
      tcpPort: publicPort,
      proxyProtocol,
    })),
    live,
    staleEdges: [...staleEdges],
    edges,
    caPem,
  };
}

/** Undefined for a kind that this release does not know. */
export function fromEdgeKind(code: EdgeKindCode): EdgeKind | undefined {
  switch (code) {
    case EdgeKindCode.UNSPECIFIED: // of the release before
    case EdgeKindCode.CONNECT:
      return "connect";
    case EdgeKindCode.TUNNEL:
      return "tunnel";
    default:
      return undefined;
  }
}
