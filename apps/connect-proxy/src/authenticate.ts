// Who asks, and for which sandbox: from a request to a grant and a way, or to what it is refused for.
//
// The order decides what a stranger can learn. The token comes first, and until it is proven nothing is asked about the
// sandbox: to whoever has none, or a bad one, a sandbox that runs, one that has ended, another workspace's and one that
// never was are the same 401; to whoever has a good one for another sandbox they are the same 403. Only a token that was
// issued for this very sandbox learns that it has ended (410), or that nothing is known of it (404): its holder knew that
// it was there.

import type { ConnectGrant, ConnectTokenErrorCode, ConnectTokenVerifier } from "@sallyport/connect-token/verify";
import { ConnectTokenError } from "@sallyport/connect-token/verify";
import type { TableChange } from "@sallyport/dataplane/routes";
import type { RefusalCode, RequestFacts, Route } from "./exchange.ts";

/** What the rules ask of the route table. */
export interface Routes {
  get(sandboxId: string): Route | undefined;
  isRevoked(tokenId: string, sandboxId: string): boolean;
  /** Whether tokens of this epoch count for a sandbox that is known. */
  isCurrentEpoch(sandboxId: string, epoch: number): boolean;
  /** Called after each change. */
  onChange(listener: (change: TableChange) => void): Disposable;
}

/** A refusal; as a value, since most strangers are refused and a throw costs more. */
export interface Refused {
  readonly refused: RefusalCode;
}

export interface Granted {
  readonly grant: ConnectGrant;
  readonly route: Route;
}

/** A token this young may be ahead of the route to its sandbox, which is on its way to this edge. */
const YOUNG_MS = 10_000;
/** How long it is waited for. */
const ROUTE_WAIT_MS = 2_000;

const REFUSED: Readonly<Record<ConnectTokenErrorCode, RefusalCode>> = {
  Malformed: "BadToken",
  UnknownKey: "BadToken",
  BadSignature: "BadToken",
  BadClaims: "BadToken",
  UnknownClaim: "BadToken",
  WrongIssuer: "BadToken",
  NotYetValid: "BadToken",
  Expired: "TokenExpired",
  Revoked: "TokenRevoked",
  WrongSandbox: "WrongSandbox",
  WrongPort: "WrongSandbox",
  Ambiguous: "AmbiguousToken",
  InvalidArgument: "InternalError",
  InvalidKeySet: "InternalError",
};

/** Why a grant no longer holds; of several reasons, expiry is the last one. */
export type GrantProblem = "UnknownKey" | "NotYetValid" | "Revoked" | "UnknownSandbox" | "SandboxEnded" | "Expired";

/** Why a grant no longer holds, the end of its sandbox included; undefined while it does. */
export function grantProblem(grant: ConnectGrant, { routes, verifier }: Judges): GrantProblem | undefined {
  const problem = verifier.problemOf(grant);
  if (problem !== undefined && problem !== "Expired") return problem;
  const route = routes.get(grant.sandboxId);
  if (route === undefined) return "UnknownSandbox";
  return route.state === "ended" ? "SandboxEnded" : problem;
}

/** What a request is refused for whose grant holds no longer. */
export function refusalOf(problem: GrantProblem): RefusalCode {
  return problem === "UnknownSandbox" || problem === "SandboxEnded" ? problem : REFUSED[problem];
}

/** What a request is refused for by the error of its token. Rethrows whatever is no such error. */
export function refusedFor(error: unknown): Refused {
  if (!(error instanceof ConnectTokenError)) throw error;
  return { refused: REFUSED[error.code] };
}

/** Who is asked about a token. */
export interface Judges {
  readonly verifier: ConnectTokenVerifier;
  readonly routes: Routes;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What a token grants at the sandbox of a request: at once if it is remembered, good, and the sandbox is there. */
export function authenticate(
  token: string,
  facts: RequestFacts,
  judges: Judges,
): Granted | Refused | Promise<Granted | Refused> {
  const remembered = judges.verifier.peek(token, facts);
  const way = remembered === undefined ? undefined : wayFor(remembered, judges.routes);
  return way ?? prove(token, facts.sandboxId, judges);
}

async function prove(token: string, sandboxId: string, judges: Judges): Promise<Granted | Refused> {
  const { now, routes, verifier } = judges;
  let grant: ConnectGrant;
  try {
    grant = await verifier.verify(token, { sandboxId });
  } catch (error) {
    return refusedFor(error);
  }
  const way = wayFor(grant, routes);
  if (way !== undefined) return way;
  if (now() - grant.issuedAtMs < YOUNG_MS) await isThere(sandboxId, routes);
  // The wait may have brought its revocation, too.
  const problem = verifier.problemOf(grant);
  if (problem !== undefined) return { refused: REFUSED[problem] };
  return wayFor(grant, routes) ?? { refused: "UnknownSandbox" };
}

/** The way that a grant opens; undefined where none is known. */
function wayFor(grant: ConnectGrant, routes: Routes): Granted | Refused | undefined {
  const route = routes.get(grant.sandboxId);
  if (route === undefined) return undefined;
  // Ids are never given twice, so this is a fault of the platform's: then nobody gets in.
  if (route.workspaceId !== grant.workspaceId) return { refused: "WrongSandbox" };
  return route.state === "ended" ? { refused: "SandboxEnded" } : { grant, route };
}

/** Waits until something is known of a sandbox, for a little while. */
async function isThere(sandboxId: string, routes: Routes): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ROUTE_WAIT_MS);
  using _listening = routes.onChange(() => {
    if (routes.get(sandboxId) !== undefined) resolve(undefined);
  });
  await promise;
  clearTimeout(timer);
}
