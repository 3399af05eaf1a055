// The api's side of the gateway: a key set on a Unix socket, and tokens signed with it.
import { startGrpcServer } from "@sallyport/appkit/grpc-server";
import { silentLogger } from "@sallyport/appkit/logger";
import { everyCallerIs } from "@sallyport/appkit/principals";
import { bindService } from "@sallyport/appkit/service";
import type { WatchKeysResponse } from "@sallyport/contracts";
import { GatewayServiceService } from "@sallyport/contracts/grpc";
import type { CryptoKey } from "jose";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { Change } from "../src/wait.ts";

export const PLATFORM_ID = "01jzp1atf0rm0000000000000a";
export const WORKSPACE_ID = "ws-01jzw0rkspace0000000000000";

/** What a token says; each field can be bent. */
export interface TokenClaims {
  readonly issuer?: string;
  readonly audience?: string;
  readonly sandboxId: string;
  readonly instanceId: string;
  readonly expiresInS?: number;
  readonly keyId?: string;
}

/** A pair of keys with the name under which the public one is told. */
export interface SigningKey {
  readonly keyId: string;
  readonly privateKey: CryptoKey;
  readonly jwk: string;
}

export async function makeKey(keyId: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  return { keyId, privateKey, jwk: JSON.stringify(await exportJWK(publicKey)) };
}

/** A token in the form of the api's. */
export async function signToken(key: SigningKey, claims: TokenClaims): Promise<string> {
  return await new SignJWT({ ws: WORKSPACE_ID, inst: claims.instanceId })
    .setProtectedHeader({ alg: "EdDSA", kid: claims.keyId ?? key.keyId })
    .setIssuer(claims.issuer ?? `sallyport:${PLATFORM_ID}`)
    .setAudience(claims.audience ?? "sallyport-io")
    .setSubject(claims.sandboxId)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + (claims.expiresInS ?? 300))
    .sign(key.privateKey);
}

/** Serves WatchKeys. */
export class FakeApi implements AsyncDisposable {
  #keys: readonly SigningKey[];
  #platformId = PLATFORM_ID;
  readonly #change = new Change();
  readonly #socketPath: string;
  #server: AsyncDisposable | undefined;

  constructor(socketPath: string, keys: readonly SigningKey[]) {
    this.#socketPath = socketPath;
    this.#keys = keys;
  }

  async start(): Promise<void> {
    const watch = (signal: AbortSignal) => this.#watch(signal);
    this.#server = await startGrpcServer({
      listen: { kind: "unix", path: this.#socketPath, mode: 0o600 },
      services: [bindService(GatewayServiceService, { watchKeys: (_request, { signal }) => watch(signal) })],
      authenticate: everyCallerIs({ kind: "gateway" }),
      logger: silentLogger,
      drainMs: 10,
    });
  }

  setKeys(keys: readonly SigningKey[], platformId: string = PLATFORM_ID): void {
    this.#keys = keys;
    this.#platformId = platformId;
    this.#change.announce();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<WatchKeysResponse> {
    for (;;) {
      yield { platformId: this.#platformId, keys: this.#keys.map(({ jwk, keyId }) => ({ keyId, jwk })) };
      await this.#change.next(signal);
    }
  }
}
