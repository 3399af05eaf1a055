// For apps: proves that a request came through the platform's proxy, and with whose token.

import { assertionClaims } from "./claims.ts";
import { ConnectTokenError } from "./errors.ts";
import type { KeySet } from "./key-set.ts";
import { CLOCK_SKEW_MS } from "./limits.ts";
import { prove } from "./signature.ts";
import type { Json } from "./user-data.ts";
import { parseUserData } from "./user-data.ts";

export interface AssertionOptions {
  /** The platform's published keys. */
  readonly keys: KeySet;
  /** The platform. */
  readonly issuer: string;
  /** The sandbox in which the app runs: an assertion for another one is refused. */
  readonly sandboxId: string;
  /** The port on which the app listens, if only requests to it count. */
  readonly port?: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What the platform asserts of a request. */
export interface Assertion {
  readonly sandboxId: string;
  readonly workspaceId: string;
  readonly port: number;
  /** Id of the connect token with which the request came. */
  readonly tokenId: string;
  /** What was passed as `userMetadata` when the token was made; undefined if nothing was. */
  readonly userMetadata: Json | undefined;
  /** Milliseconds since the epoch, both. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Verifies `X-Verified-User-Assertion`. Throws a `ConnectTokenError` with one of the codes of tokens. */
export async function verifyAssertion(text: string, options: AssertionOptions): Promise<Assertion> {
  const { issuer, keys, now, port, sandboxId } = options;
  const { members } = await prove(text, "assertion", keys);
  const claims = assertionClaims(members);
  if (claims.iss !== issuer) throw new ConnectTokenError("WrongIssuer", "is of another platform");
  if (claims.aud !== sandboxId) throw new ConnectTokenError("WrongSandbox", "is for another sandbox");
  if (port !== undefined && claims.port !== port) throw new ConnectTokenError("WrongPort", "is for another port");
  const nowMs = now();
  if (nowMs >= claims.exp * 1_000) throw new ConnectTokenError("Expired", "has expired");
  if (claims.iat * 1_000 > nowMs + CLOCK_SKEW_MS) throw new ConnectTokenError("NotYetValid", "is issued in the future");
  return {
    sandboxId: claims.aud,
    workspaceId: claims.ws,
    port: claims.port,
    tokenId: claims.sub,
    userMetadata: parseUserData(claims.ud),
    issuedAtMs: claims.iat * 1_000,
    expiresAtMs: claims.exp * 1_000,
  };
}
