// The platform's public keys: watched at the api, kept on disk, so that tokens are verified while the api is down and
// after a restart of our own.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { AppError, fromGrpcError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { keepTrying } from "@sallyport/appkit/retry";
import type { WatchKeysResponse } from "@sallyport/contracts";
import { callServerStream, GatewayServiceClient } from "@sallyport/contracts/grpc";
import type { CryptoKey } from "jose";
import { importJWK } from "jose";
import { z } from "zod";

const keySet = z.object({
  platformId: z.string().min(1),
  keys: z.array(z.object({ keyId: z.string().min(1).max(128), jwk: z.string().max(1_024) })).max(64),
});
type KeySet = z.infer<typeof keySet>;

/** An Ed25519 public key (RFC 8037) and nothing else. */
const publicJwk = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string(),
  d: z.undefined().optional(),
});

export interface KeysOptions {
  readonly stateDirectory: string;
  /** Unix socket of the api's GatewayService. */
  readonly apiSocket: string;
  readonly logger: Logger;
}

const FILE = "keys.json";

export class Keys implements AsyncDisposable {
  readonly #options: KeysOptions;
  readonly #client: GatewayServiceClient;
  readonly #stop = new AbortController();
  #watching: Promise<void> = Promise.resolve();
  #platformId: string | undefined;
  #keys: ReadonlyMap<string, CryptoKey> = new Map();
  #revision = 0;

  private constructor(options: KeysOptions) {
    this.#options = options;
    this.#client = new GatewayServiceClient(`unix:${options.apiSocket}`, credentials.createInsecure());
  }

  /** Starts with what is on disk, and follows the api from then on. */
  static async start(options: KeysOptions): Promise<Keys> {
    const keys = new Keys(options);
    const stored = readStored(options);
    if (stored !== undefined) await keys.#take(stored);
    keys.#watching = keepTrying(
      (signal) => keys.#watch(signal),
      (error) => options.logger.warn({ err: fromGrpcError(error) }, "the api's keys cannot be watched; trying again"),
      keys.#stop.signal,
    );
    return keys;
  }

  /** Whose keys these are; unset until they were seen once. */
  get platformId(): string | undefined {
    return this.#platformId;
  }

  /** Another number after each change. */
  get revision(): number {
    return this.#revision;
  }

  find(keyId: string): CryptoKey | undefined {
    return this.#keys.get(keyId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the gateway is stopping"));
    await this.#watching;
    this.#client.close();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    for await (const response of callServerStream(this.#client, this.#client.watchKeys, {}, { signal })) {
      const set = checked(response, this.#platformId);
      await this.#take(set);
      this.#store(set);
      logger.info({ keys: set.keys.length }, "keys of the platform");
    }
    throw new AppError("Unavailable", "the api ended the stream of keys");
  }

  async #take(set: KeySet): Promise<void> {
    const imported = await Promise.all(
      set.keys.map(async ({ jwk, keyId }) => {
        const { crv, kty, x } = publicJwk.parse(JSON.parse(jwk));
        const key = await importJWK({ kty, crv, x }, "EdDSA");
        if (key instanceof Uint8Array) throw new AppError("Internal", "a symmetric key among the platform's");
        return [keyId, key] as const;
      }),
    );
    this.#keys = new Map(imported);
    this.#platformId = set.platformId;
    this.#revision += 1;
  }

  #store(set: KeySet): void {
    const path = join(this.#options.stateDirectory, FILE);
    writeFileSync(`${path}.new`, JSON.stringify(set), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

/** The platform is the one that was met first, for good: another api at the same socket is a mistake or an attack. */
function checked(response: WatchKeysResponse, pinned: string | undefined): KeySet {
  const set = keySet.parse(response);
  if (pinned !== undefined && set.platformId !== pinned) {
    throw new AppError("FailedPrecondition", "the api is of another platform than this gateway");
  }
  return set;
}

function readStored({ logger, stateDirectory }: KeysOptions): KeySet | undefined {
  const path = join(stateDirectory, FILE);
  try {
    return keySet.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!missing) logger.warn({ err: error }, "the stored keys cannot be read; waiting for the api");
    return undefined;
  }
}
