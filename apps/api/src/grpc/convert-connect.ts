// Where generated messages of connect tokens and edges end: to and from what the services know. No judgement here.
import type {
  ConnectKey,
  ConnectTokenInfo,
  CreateConnectTokenRequest,
  CreateConnectTokenResponse,
  Edge,
  Route,
  WatchRoutesResponse,
} from "@sallyport/contracts";
import { EdgeKind as EdgeKindCode, RouteState as StateCode } from "@sallyport/contracts";
import type { SandboxState } from "../domain/instance-state.ts";
import { sandboxState } from "../domain/instance-state.ts";
import type { CreatedToken, CreateTokenInput } from "../services/connect-tokens.ts";
import type { EdgeView } from "../services/edges.ts";
import type { RoutesPart } from "../services/watch-routes.ts";
import type { ConnectKeyRow } from "../store/connect-keys.ts";
import type { ConnectTokenRow } from "../store/connect-tokens.ts";
import type { RouteRow } from "../store/routes.ts";
import { toInbound, toTunnelRoute } from "./convert-tunnel.ts";

const ROUTE_STATES: Readonly<Record<SandboxState, StateCode>> = {
  pending: StateCode.STARTING,
  running: StateCode.RUNNING,
  stopping: StateCode.ENDED,
  ended: StateCode.ENDED,
};

export function fromCreateToken(request: CreateConnectTokenRequest): CreateTokenInput {
  const { sandboxId, port, expiresInMs, embed } = request;
  return { sandboxId, port, expiresInMs, embed, userMetadata: request.userMetadata as unknown };
}

export function toCreatedToken({ warnings, ...created }: CreatedToken): CreateConnectTokenResponse {
  return { ...created, warnings: [...warnings] };
}

export function toTokenInfo({ id, port, embed, createdAt, expiresAt, revokedAt }: ConnectTokenRow): ConnectTokenInfo {
  return { tokenId: id, port, embed, createdAt, expiresAt, revokedAt };
}

export function toRoutesPart(platformId: string, part: RoutesPart): WatchRoutesResponse {
  const { revision, reset, complete, keySet } = part;
  const revoked = part.revoked.map(({ tokenId, sandboxId, expiresAt }) => ({ tokenId, sandboxId, expiresAt }));
  return { platformId, revision, reset, complete, keySet, revoked, routes: part.routes.map(toRoute) };
}

function toRoute({ wish, observed, tunnels, inbound, ...route }: RouteRow): Route {
  const state = ROUTE_STATES[sandboxState(wish, observed)];
  return {
    ...route,
    state,
    gateway: "",
    tunnels: tunnels.map(toTunnelRoute),
    inboundCidrAllowlist: toInbound(inbound),
  };
}

export function toEdge({ id, kind, seenAt, isStale, revision, newestRevision }: EdgeView): Edge {
  const code = kind === "tunnel" ? EdgeKindCode.TUNNEL : EdgeKindCode.CONNECT;
  return { id, kind: code, lastSeenAt: seenAt, stale: isStale, revision, newestRevision };
}

export function toConnectKey({ keyId, createdAt, isSigning, retiredAt }: ConnectKeyRow): ConnectKey {
  return { keyId, createdAt, signing: isSigning, removedAt: retiredAt };
}
