// Signs what a proxy tells an app about a request, so that the app can prove it.

import { isIssuer } from "./claims.ts";
import { invalidArgument } from "./errors.ts";
import { ASSERTION_LIFE_MS } from "./limits.ts";
import type { SigningKey } from "./signing-key.ts";
import type { ConnectGrant } from "./verifier.ts";

export interface AssertionSignerOptions {
  /** The platform: printable ASCII without blanks. */
  readonly issuer: string;
  /** A key for assertions. It can sign nothing that a verifier of connect tokens takes. */
  readonly key: SigningKey;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Signed {
  readonly text: string;
  readonly freshUntilMs: number;
}

/** One signature serves the requests of a token for half an assertion's life, so that half of it is always left. */
const FRESH_MS = ASSERTION_LIFE_MS / 2;

export class AssertionSigner {
  readonly #options: AssertionSignerOptions;
  readonly #signed = new WeakMap<ConnectGrant, Signed>();

  constructor(options: AssertionSignerOptions) {
    if (!isIssuer(options.issuer)) throw invalidArgument("issuer", "is not 1 to 128 characters of printable ASCII");
    if (options.key.purpose !== "assertion") throw invalidArgument("key", "is not for assertions");
    this.#options = options;
  }

  /** The hot path: the assertion that was signed for this grant, while it is fresh. Else ask `sign`. */
  peek(grant: ConnectGrant): string | undefined {
    const signed = this.#signed.get(grant);
    return signed !== undefined && this.#options.now() < signed.freshUntilMs ? signed.text : undefined;
  }

  /**
   * The assertion for a grant that a verifier gave: a minute of life, and none beyond the token's own. Throws
   * `InvalidArgument` for a grant that has expired.
   */
  async sign(grant: ConnectGrant): Promise<string> {
    const fresh = this.peek(grant);
    if (fresh !== undefined) return fresh;
    const nowMs = this.#options.now();
    const iat = Math.floor(nowMs / 1_000);
    const exp = Math.min(iat + ASSERTION_LIFE_MS / 1_000, Math.floor(grant.expiresAtMs / 1_000));
    if (exp <= iat) throw invalidArgument("grant", "has expired");
    const text = await this.#options.key.sign({
      iss: this.#options.issuer,
      aud: grant.sandboxId,
      sub: grant.id,
      ws: grant.workspaceId,
      port: grant.port,
      ...(grant.userData === undefined ? {} : { ud: grant.userData }),
      iat,
      exp,
    });
    this.#signed.set(grant, { text, freshUntilMs: Math.min(nowMs + FRESH_MS, exp * 1_000) });
    return text;
  }
}
