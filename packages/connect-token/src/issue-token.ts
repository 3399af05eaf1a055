// Issues connect tokens.

import type { ConnectClaims } from "./claims.ts";
import { isEpoch, isId, isIssuer, isPort } from "./claims.ts";
import { invalidArgument } from "./errors.ts";
import { DEFAULT_LIFE_MS, DEFAULT_PORT, MAX_LIFE_MS, MIN_LIFE_MS } from "./limits.ts";
import type { SigningKey } from "./signing-key.ts";
import type { Json } from "./user-data.ts";
import { serializeUserData } from "./user-data.ts";

/** What a token shall grant. */
export interface ConnectTokenRequest {
  /** Id of the token, by which it can be revoked; never used twice. 1 to 64 characters of `A-Z a-z 0-9 _ -`, as all ids. */
  readonly id: string;
  readonly sandboxId: string;
  readonly workspaceId: string;
  /** Default: `DEFAULT_PORT`. */
  readonly port?: number | undefined;
  /** Any JSON value, fewer than 512 characters as ASCII JSON. Undefined: none, and the app sees no header. */
  readonly userMetadata?: Json | undefined;
  /** The sandbox's token epoch: raising it revokes all tokens of earlier ones. */
  readonly epoch: number;
  /** From `MIN_LIFE_MS` to `MAX_LIFE_MS`. Default: `DEFAULT_LIFE_MS`. */
  readonly expiresInMs?: number | undefined;
  /** Lets the token's cookies work inside a frame of another site. */
  readonly embed?: boolean | undefined;
}

export interface Issuer {
  /** The platform: printable ASCII without blanks. */
  readonly issuer: string;
  /** A key for connect tokens. */
  readonly key: SigningKey;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface IssuedToken {
  readonly token: string;
  /** Milliseconds since the epoch; a whole second, and never later than was asked for. */
  readonly expiresAtMs: number;
}

/** Issues one token. Throws `InvalidArgument` that names the field. */
export async function issueConnectToken(request: ConnectTokenRequest, issuer: Issuer): Promise<IssuedToken> {
  if (issuer.key.purpose !== "connect-token") throw invalidArgument("key", "is not for connect tokens");
  const claims = claimsOf(request, issuer);
  return { token: await issuer.key.sign(claims), expiresAtMs: claims.exp * 1_000 };
}

function claimsOf(request: ConnectTokenRequest, { issuer, now }: Issuer): ConnectClaims {
  const { embed = false, epoch, expiresInMs = DEFAULT_LIFE_MS, id, port = DEFAULT_PORT } = request;
  const { sandboxId, workspaceId } = request;
  if (!isIssuer(issuer)) throw invalidArgument("issuer", "is not 1 to 128 characters of printable ASCII");
  for (const [field, value] of Object.entries({ id, sandboxId, workspaceId })) {
    if (!isId(value)) throw invalidArgument(field, "is not 1 to 64 letters, digits, dashes and underscores");
  }
  if (!isPort(port)) throw invalidArgument("port", "is no whole number from 1 to 65,535");
  if (!isEpoch(epoch)) throw invalidArgument("epoch", "is no whole number from 0");
  if (typeof embed !== "boolean") throw invalidArgument("embed", "is neither true nor false");
  if (!Number.isFinite(expiresInMs) || expiresInMs < MIN_LIFE_MS || expiresInMs > MAX_LIFE_MS) {
    throw invalidArgument("expiresInMs", `is not from ${MIN_LIFE_MS} (a second) to ${MAX_LIFE_MS} (a day)`);
  }
  const userData = serializeUserData(request.userMetadata);
  const nowMs = now();
  return {
    iss: issuer,
    aud: sandboxId,
    ws: workspaceId,
    port,
    ...(userData === undefined ? {} : { ud: userData }),
    ep: epoch,
    ...(embed ? { embed } : {}),
    iat: Math.floor(nowMs / 1_000),
    exp: Math.floor((nowMs + expiresInMs) / 1_000),
    jti: id,
  };
}
