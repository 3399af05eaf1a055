// A platform in small: keys, a clock that stands still, and what is revoked.

import { type ConnectTokenRequest, generateSigningKey, issueConnectToken, SigningKey } from "../src/issue.ts";
import type { KeySet } from "../src/key-set.ts";
import { parseKeySet } from "../src/key-set.ts";
import { ConnectTokenVerifier } from "../src/verifier.ts";

export const ISSUER = "sallyport:pf-01arz3ndektsv4rrffq69g5fav";
export const SANDBOX = "sb-01arz3ndektsv4rrffq69g5fav";
export const OTHER_SANDBOX = "sb-01arz3ndektsv4rrffq69g5fb0";
export const WORKSPACE = "ws-01arz3ndektsv4rrffq69g5fav";
export const TOKEN_ID = "ct-01arz3ndektsv4rrffq69g5fav";
/** A whole second, so that lives come out even. */
export const START_MS = 1_790_000_000_000;

export const REQUEST: ConnectTokenRequest = { id: TOKEN_ID, sandboxId: SANDBOX, workspaceId: WORKSPACE, epoch: 3 };

export class Platform {
  nowMs = START_MS;
  epoch = 3;
  readonly revoked = new Set<string>();
  readonly now = (): number => this.nowMs;
  readonly key: SigningKey;
  readonly assertionKey: SigningKey;
  keys: KeySet;

  private constructor(key: SigningKey, assertionKey: SigningKey, keys: KeySet) {
    this.key = key;
    this.assertionKey = assertionKey;
    this.keys = keys;
  }

  static async start(): Promise<Platform> {
    const key = await SigningKey.import(await generateSigningKey("connect-token"));
    const assertionKey = await SigningKey.import(await generateSigningKey("assertion"));
    return new Platform(key, assertionKey, await parseKeySet({ keys: [key.publicJwk, assertionKey.publicJwk] }));
  }

  /** The keys that verifiers have from now on. */
  async publish(...keys: readonly SigningKey[]): Promise<void> {
    this.keys = await parseKeySet({ keys: keys.map((key) => key.publicJwk) });
  }

  async issue(request: Partial<ConnectTokenRequest> = {}, key: SigningKey = this.key): Promise<string> {
    const issuer = { issuer: ISSUER, key, now: this.now };
    return (await issueConnectToken({ ...REQUEST, ...request }, issuer)).token;
  }

  verifier(maxCachedTokens?: number): ConnectTokenVerifier {
    return new ConnectTokenVerifier({
      issuer: ISSUER,
      keys: () => this.keys,
      now: this.now,
      isCurrentEpoch: (sandboxId, epoch) => sandboxId !== SANDBOX || epoch >= this.epoch,
      isRevoked: (id) => this.revoked.has(id),
      maxCachedTokens,
    });
  }
}
