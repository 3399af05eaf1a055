// Verifies connect tokens, and remembers those that were good.

import type { ConnectClaims } from "./claims.ts";
import { connectClaims, isIssuer } from "./claims.ts";
import type { ConnectTokenErrorCode } from "./errors.ts";
import { ConnectTokenError, invalidArgument } from "./errors.ts";
import type { KeySet } from "./key-set.ts";
import { CLOCK_SKEW_MS, DEFAULT_CACHED_TOKENS } from "./limits.ts";
import { prove } from "./signature.ts";
import { TokenCache } from "./token-cache.ts";

/** What a verified token grants. Frozen; the same object each time while it is remembered. */
export interface ConnectGrant {
  /** Id of the token. */
  readonly id: string;
  readonly sandboxId: string;
  readonly workspaceId: string;
  readonly port: number;
  /** For `X-Verified-User-Data` as it stands: ASCII JSON, fewer than 512 characters. Undefined: no header. */
  readonly userData: string | undefined;
  /** Token epoch of the sandbox in which it was issued. */
  readonly epoch: number;
  /** Its cookies work inside a frame of another site. */
  readonly embed: boolean;
  /** Milliseconds since the epoch, both. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Id of the key that signed it. */
  readonly keyId: string;
}

/** Where the token is shown. */
export interface Target {
  readonly sandboxId: string;
  /** If the address names a port. */
  readonly port?: number | undefined;
}

export interface VerifierOptions {
  /** The platform whose tokens count. */
  readonly issuer: string;
  /** The newest key set; asked each time, so that rotation takes no restart. */
  readonly keys: () => KeySet;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Whether tokens of this epoch still count for the sandbox. Asked each time: answer from memory. */
  readonly isCurrentEpoch: (sandboxId: string, epoch: number) => boolean;
  /** Whether this one token is revoked. Asked each time: answer from memory. */
  readonly isRevoked: (tokenId: string, sandboxId: string) => boolean;
  /** Default: `DEFAULT_CACHED_TOKENS`. */
  readonly maxCachedTokens?: number | undefined;
}

/**
 * Verifies connect tokens. A signature is checked once per token and remembered by the token's exact characters; whether
 * the token has expired, is revoked, or has lost its key is asked on every use, so that nothing has to be told to forget.
 */
export class ConnectTokenVerifier {
  readonly #options: VerifierOptions;
  readonly #verified: TokenCache<ConnectGrant>;
  /** Tokens whose signatures are being checked: a page that loads fifty things at once pays for one. */
  readonly #pending = new Map<string, Promise<ConnectGrant>>();

  constructor(options: VerifierOptions) {
    const { issuer, maxCachedTokens = DEFAULT_CACHED_TOKENS } = options;
    if (!isIssuer(issuer)) throw invalidArgument("issuer", "is not 1 to 128 characters of printable ASCII");
    if (!Number.isInteger(maxCachedTokens) || maxCachedTokens < 1) {
      throw invalidArgument("maxCachedTokens", "is no whole number from 1");
    }
    this.#options = options;
    this.#verified = new TokenCache(maxCachedTokens);
  }

  /** How many tokens are remembered. */
  get size(): number {
    return this.#verified.size;
  }

  /** The hot path: what a token grants at this target if it is remembered and good, at once. Else ask `verify`. */
  peek(token: string, target: Target): ConnectGrant | undefined {
    const grant = this.#verified.get(token);
    if (grant === undefined || this.problemOf(grant) !== undefined) return undefined;
    return isFor(grant, target) ? grant : undefined;
  }

  /**
   * What a token grants at this target. Throws a `ConnectTokenError` with one of the codes of tokens; a token for another
   * sandbox or port is told from a bad one only where it is good there.
   */
  async verify(token: string, target: Target): Promise<ConnectGrant> {
    const grant = this.#verified.get(token) ?? (await this.#proveOnce(token));
    const problem = this.problemOf(grant);
    if (problem !== undefined) {
      this.#verified.delete(token);
      throw problemError(problem);
    }
    if (grant.sandboxId !== target.sandboxId) throw new ConnectTokenError("WrongSandbox", "is for another sandbox");
    if (!isFor(grant, target)) throw new ConnectTokenError("WrongPort", "is for another port of the sandbox");
    return grant;
  }

  /**
   * Why a grant no longer holds; undefined while it does. For connections that outlive their request. Of several reasons
   * the token's revocation, or its key's, comes before its expiry.
   */
  problemOf(grant: ConnectGrant): "UnknownKey" | "NotYetValid" | "Expired" | "Revoked" | undefined {
    const { isCurrentEpoch, isRevoked, keys, now } = this.#options;
    const time = now();
    if (!keys().has(grant.keyId, "connect-token")) return "UnknownKey";
    // First what was done on purpose: it ends also what may outlive its token.
    if (isRevoked(grant.id, grant.sandboxId) || !isCurrentEpoch(grant.sandboxId, grant.epoch)) return "Revoked";
    if (time >= grant.expiresAtMs) return "Expired";
    return grant.issuedAtMs > time + CLOCK_SKEW_MS ? "NotYetValid" : undefined;
  }

  #proveOnce(token: string): Promise<ConnectGrant> {
    const pending = this.#pending.get(token);
    if (pending !== undefined) return pending;
    const proof = this.#prove(token).finally(() => this.#pending.delete(token));
    this.#pending.set(token, proof);
    return proof;
  }

  async #prove(token: string): Promise<ConnectGrant> {
    const { kid, members } = await prove(token, "connect-token", this.#options.keys());
    const claims = connectClaims(members);
    if (claims.iss !== this.#options.issuer) throw new ConnectTokenError("WrongIssuer", "is of another platform");
    const grant = grantOf(claims, kid);
    if (this.problemOf(grant) === undefined) this.#verified.set(token, grant);
    return grant;
  }
}

function isFor(grant: ConnectGrant, { port, sandboxId }: Target): boolean {
  return grant.sandboxId === sandboxId && (port === undefined || grant.port === port);
}

function grantOf(claims: ConnectClaims, keyId: string): ConnectGrant {
  return Object.freeze({
    id: claims.jti,
    sandboxId: claims.aud,
    workspaceId: claims.ws,
    port: claims.port,
    userData: claims.ud,
    epoch: claims.ep,
    embed: claims.embed === true,
    issuedAtMs: claims.iat * 1_000,
    expiresAtMs: claims.exp * 1_000,
    keyId,
  });
}

const PROBLEMS = {
  UnknownKey: "is signed by a key that is no longer published",
  NotYetValid: "is issued in the future",
  Expired: "has expired",
  Revoked: "is revoked",
} as const satisfies Partial<Record<ConnectTokenErrorCode, string>>;

function problemError(problem: keyof typeof PROBLEMS): ConnectTokenError {
  return new ConnectTokenError(problem, PROBLEMS[problem]);
}
