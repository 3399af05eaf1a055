// SandboxIO tokens: Ed25519 JWTs that name one sandbox and one instance for ten minutes. Gateways verify them alone.
import { generateKeyPairSync } from "node:crypto";
import type { Clock } from "@sallyport/appkit/clock";
import type { CryptoKey, JWK } from "jose";
import { calculateJwkThumbprint, importJWK, SignJWT } from "jose";
import type { Db } from "../store/database.ts";
import type { PublicJwk } from "../store/schema.ts";
import type { NewSigningKey } from "../store/signing-keys.ts";
import { findSigningKey, insertSigningKey, listPublicKeys } from "../store/signing-keys.ts";
import type { MasterKey } from "./master-key.ts";

/** For whom these tokens are. */
const IO_AUDIENCE = "sallyport-io";
const IO_TOKEN_LIFE_SECONDS = 600;
const ALGORITHM = "EdDSA";

/** What a token names. */
interface IoGrant {
  readonly workspaceId: string;
  readonly sandboxId: string;
  readonly instanceId: string;
}

/** A public key as gateways get it. */
export interface IoPublicKey {
  readonly keyId: string;
  /** JSON of a JWK with kid, alg and use. */
  readonly jwk: string;
}

export interface IoTokens {
  mint(grant: IoGrant): Promise<{ readonly token: string; readonly expiresAt: Date }>;
  publicKeys(): Promise<IoPublicKey[]>;
}

/** Opens the signing key that this master key sealed, or makes one. */
export async function openIoTokens(db: Db, master: MasterKey, platformId: string, clock: Clock): Promise<IoTokens> {
  const stored = (await findSigningKey(db, master.id)) ?? (await makeSigningKey(db, master));
  const jwk = JSON.parse(master.open(stored.sealedPrivateJwk, stored.keyId).toString()) as JWK;
  const privateKey = (await importJWK(jwk, ALGORITHM)) as CryptoKey;
  return {
    async mint(grant) {
      const issuedAt = Math.floor(clock.now() / 1_000);
      const expiresAt = issuedAt + IO_TOKEN_LIFE_SECONDS;
      const token = await new SignJWT({ ws: grant.workspaceId, inst: grant.instanceId })
        .setProtectedHeader({ alg: ALGORITHM, typ: "JWT", kid: stored.keyId })
        .setIssuer(`sallyport:${platformId}`)
        .setAudience(IO_AUDIENCE)
        .setSubject(grant.sandboxId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .sign(privateKey);
      return { token, expiresAt: new Date(expiresAt * 1_000) };
    },
    async publicKeys() {
      const keys = await listPublicKeys(db);
      return keys.map(({ keyId, publicJwk }) => ({ keyId, jwk: jwkText(keyId, publicJwk) }));
    },
  };
}

async function makeSigningKey(db: Db, master: MasterKey): Promise<NewSigningKey> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const publicJwk: PublicJwk = { kty: "OKP", crv: "Ed25519", x };
  const keyId = await calculateJwkThumbprint(publicJwk);
  const plain = Buffer.from(JSON.stringify(privateKey.export({ format: "jwk" })));
  const key = { keyId, masterKeyId: master.id, publicJwk, sealedPrivateJwk: master.seal(plain, keyId) };
  await insertSigningKey(db, key);
  return key;
}

function jwkText(keyId: string, publicJwk: PublicJwk): string {
  return JSON.stringify({ ...publicJwk, kid: keyId, alg: ALGORITHM, use: "sig" });
}
