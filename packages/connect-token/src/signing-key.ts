// Keys that sign. Never in the module graph of ./verify.

import type { CryptoKey, JWK } from "jose";
import { calculateJwkThumbprint } from "jose/jwk/thumbprint";
import { CompactSign } from "jose/jws/compact/sign";
import { exportJWK } from "jose/key/export";
import { generateKeyPair } from "jose/key/generate/keypair";
import { importJWK } from "jose/key/import";
import type { AssertionClaims, ConnectClaims } from "./claims.ts";
import { invalidArgument } from "./errors.ts";
import type { PublicJwk } from "./key-set.ts";
import type { KeyPurpose } from "./wire.ts";
import { ALGORITHM, PURPOSE_MEMBER, TYPES } from "./wire.ts";

/** A private key as it is stored, encrypted by whoever stores it. */
export interface PrivateJwk extends PublicJwk {
  /** The secret: 32 bytes in base64url. */
  readonly d: string;
}

/** Makes a key for one purpose. Publish its public part, let the verifiers have it, and only then sign with it. */
export async function generateSigningKey(purpose: KeyPurpose): Promise<PrivateJwk> {
  checkPurpose(purpose);
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const { d = "", x = "" } = await exportJWK(privateKey);
  return { ...(await publicJwkOf(x, purpose)), d };
}

/** A key that signs one kind of thing. Inspecting or serialising it shows its public part alone. */
export class SigningKey {
  readonly purpose: KeyPurpose;
  /** For the published set: `{ keys: [key.publicJwk, ...] }`. */
  readonly publicJwk: PublicJwk;
  readonly #key: CryptoKey;

  private constructor(purpose: KeyPurpose, publicJwk: PublicJwk, key: CryptoKey) {
    this.purpose = purpose;
    this.publicJwk = publicJwk;
    this.#key = key;
  }

  /** Takes a stored key. Throws `InvalidArgument` for what is no whole key of ours. */
  static async import(jwk: PrivateJwk): Promise<SigningKey> {
    const purpose = jwk[PURPOSE_MEMBER];
    checkPurpose(purpose);
    const bare: JWK = { kty: "OKP", crv: "Ed25519", x: jwk.x, d: jwk.d };
    const key = await importJWK(bare, ALGORITHM, { extractable: false }).catch((cause: unknown) => {
      // The cause may quote the key.
      throw invalidArgument("jwk", `is no Ed25519 key (${cause instanceof Error ? cause.name : "unknown"})`);
    });
    const publicJwk = await publicJwkOf(jwk.x, purpose);
    if (key instanceof Uint8Array || key.type !== "private") throw invalidArgument("jwk", "is no private key");
    if (publicJwk.kid !== jwk.kid) throw invalidArgument("jwk.kid", "is not the key's thumbprint");
    return new SigningKey(purpose, Object.freeze(publicJwk), key);
  }

  /** Signs the claims of what this key is for. */
  sign(claims: ConnectClaims | AssertionClaims): Promise<string> {
    const header = { alg: ALGORITHM, typ: TYPES[this.purpose], kid: this.publicJwk.kid };
    const payload = new TextEncoder().encode(JSON.stringify(claims));
    return new CompactSign(payload).setProtectedHeader(header).sign(this.#key);
  }
}

async function publicJwkOf(x: string, purpose: KeyPurpose): Promise<PublicJwk> {
  const kid = await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x });
  return { kty: "OKP", crv: "Ed25519", x, kid, alg: ALGORITHM, use: "sig", [PURPOSE_MEMBER]: purpose };
}

function checkPurpose(purpose: unknown): asserts purpose is KeyPurpose {
  if (typeof purpose === "string" && Object.hasOwn(TYPES, purpose)) return;
  throw invalidArgument("purpose", `is none of ${Object.keys(TYPES).join(", ")}`);
}
