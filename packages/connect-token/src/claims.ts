// The inside of a token and of an assertion: which claims there are, and what each may be.

import { ConnectTokenError } from "./errors.ts";
import { ASSERTION_LIFE_MS, MAX_LIFE_MS } from "./limits.ts";
import { isUserData } from "./user-data.ts";

/** Claims of a connect token. */
export interface ConnectClaims extends CommonClaims {
  /** Id of this token. */
  readonly jti: string;
  /** Token epoch of the sandbox: tokens of an earlier one are revoked. */
  readonly ep: number;
  /** Cookies of this token work inside a frame of another site. */
  readonly embed?: true;
}

/** Claims of an assertion. */
export interface AssertionClaims extends CommonClaims {
  /** Id of the connect token with which the request came. */
  readonly sub: string;
}

interface CommonClaims {
  /** Who issued it: the platform. */
  readonly iss: string;
  /** For whom: the sandbox's id. */
  readonly aud: string;
  /** Workspace's id. */
  readonly ws: string;
  readonly port: number;
  /** User data: ASCII JSON, as a string, so that its bytes reach the app unchanged. */
  readonly ud?: string;
  /** Seconds since the epoch, both. */
  readonly iat: number;
  readonly exp: number;
}

interface Claim {
  readonly optional?: true;
  is(value: unknown): boolean;
}
type Shape<Claims> = Readonly<Record<keyof Claims, Claim>>;

const ID = /^[A-Za-z0-9_-]{1,64}$/;
const ISSUER = /^[\x21-\x7e]{1,128}$/;
const count = (value: unknown) => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** Whether a text can name a sandbox, a workspace or a token. */
export function isId(text: unknown): text is string {
  return typeof text === "string" && ID.test(text);
}

/** Whether a text can name an issuer: printable ASCII without blanks, without what JSON would have to escape. */
export function isIssuer(text: unknown): text is string {
  return typeof text === "string" && ISSUER.test(text) && !/["\\]/.test(text);
}

export function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** Whether a number can be an epoch. */
export function isEpoch(value: unknown): value is number {
  return count(value);
}

const COMMON = {
  iss: { is: isIssuer },
  aud: { is: isId },
  ws: { is: isId },
  port: { is: isPort },
  ud: { optional: true, is: isUserData },
  iat: { is: count },
  exp: { is: count },
} as const satisfies Shape<CommonClaims>;

const CONNECT: Shape<ConnectClaims> = {
  ...COMMON,
  jti: { is: isId },
  ep: { is: isEpoch },
  embed: { optional: true, is: (value) => value === true },
};

const ASSERTION: Shape<AssertionClaims> = { ...COMMON, sub: { is: isId } };

/** Verified members as the claims of a connect token. Throws `UnknownClaim` or `BadClaims`. */
export function connectClaims(members: Readonly<Record<string, unknown>>): ConnectClaims {
  return checked<ConnectClaims>(members, CONNECT, MAX_LIFE_MS);
}

/** Verified members as the claims of an assertion. Throws `UnknownClaim` or `BadClaims`. */
export function assertionClaims(members: Readonly<Record<string, unknown>>): AssertionClaims {
  return checked<AssertionClaims>(members, ASSERTION, ASSERTION_LIFE_MS);
}

/**
 * Every claim is critical: one that this verifier does not know may restrict what the token is good for (a path, methods,
 * an address of the client), and whoever overlooks a restriction grants too much. So it is refused, whatever it says.
 */
function checked<Claims extends CommonClaims>(
  members: Readonly<Record<string, unknown>>,
  shape: Shape<Claims>,
  maxLifeMs: number,
): Claims {
  const rules: Readonly<Record<string, Claim>> = shape;
  for (const name of Object.keys(members)) {
    if (!Object.hasOwn(rules, name)) {
      throw new ConnectTokenError("UnknownClaim", "carries a claim that this verifier does not know");
    }
  }
  for (const [name, claim] of Object.entries(rules)) {
    const right = Object.hasOwn(members, name) ? claim.is(members[name]) : claim.optional === true;
    if (!right) throw new ConnectTokenError("BadClaims", `the claim ${name} is missing or wrong`);
  }
  const claims = members as unknown as Claims;
  if (claims.exp <= claims.iat || claims.exp - claims.iat > maxLifeMs / 1_000) {
    throw new ConnectTokenError("BadClaims", "lives for longer than any that is issued, or for no time at all");
  }
  return claims;
}
