// Published keys (JWKS, RFC 7517): read strictly, held by key id and purpose.

import type { CryptoKey } from "jose";
import { calculateJwkThumbprint } from "jose/jwk/thumbprint";
import { importJWK } from "jose/key/import";
import { decodeCanonical } from "./base64url.ts";
import { isKid } from "./compact.ts";
import { ConnectTokenError } from "./errors.ts";
import { MAX_KEYS } from "./limits.ts";
import type { KeyPurpose } from "./wire.ts";
import { ALGORITHM, PURPOSE_MEMBER, TYPES } from "./wire.ts";

/** A public key as it is published. */
export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  /** 32 bytes in base64url. */
  readonly x: string;
  /** The key's thumbprint (RFC 7638), so that no other key can go by the same id. */
  readonly kid: string;
  readonly alg: typeof ALGORITHM;
  readonly use: "sig";
  readonly [PURPOSE_MEMBER]: KeyPurpose;
}

/** Keys that verify. Immutable: rotation is another set. */
export interface KeySet {
  readonly size: number;
  /** Whether the key is there, and for this. */
  has(kid: string, purpose: KeyPurpose): boolean;
  get(kid: string, purpose: KeyPurpose): CryptoKey | undefined;
}

type Members = Readonly<Record<string, unknown>>;

/**
 * Reads a published set: `{ keys: [...] }`, as a value or as text. Keys of other algorithms or purposes are skipped, as
 * RFC 7517 wants it. A key of ours must be whole: its id is its thumbprint, no id comes twice, and none is private. Throws
 * `InvalidKeySet`, and then nothing of the set counts: keep the one from before.
 */
export async function parseKeySet(input: unknown): Promise<KeySet> {
  const list = isMembers(input) ? input["keys"] : keysOf(input);
  if (!Array.isArray(list)) throw invalid("no object with a list of keys");
  if (list.length > MAX_KEYS) throw invalid(`${list.length} keys; ${MAX_KEYS} are the most`);
  const keys = new Map<string, { readonly purpose: KeyPurpose; readonly key: CryptoKey }>();
  const seen = new Set<unknown>();
  for (const [index, jwk] of list.entries()) {
    if (!isMembers(jwk)) throw invalid(`keys[${index}] is no object`);
    if (["d", "k", "p", "priv"].some((name) => Object.hasOwn(jwk, name))) throw invalid(`keys[${index}] is not public`);
    if (jwk["kid"] !== undefined && seen.has(jwk["kid"])) throw invalid(`keys[${index}] has the id of another`);
    seen.add(jwk["kid"]);
    const purpose = jwk[PURPOSE_MEMBER];
    if (isPurpose(purpose) && jwk["kty"] === "OKP" && jwk["crv"] === "Ed25519") {
      const { kid, key } = await readKey(jwk, index);
      keys.set(kid, { purpose, key });
    }
  }
  const get = (kid: string, purpose: KeyPurpose) => {
    const found = keys.get(kid);
    return found?.purpose === purpose ? found.key : undefined;
  };
  return { size: keys.size, get, has: (kid, purpose) => get(kid, purpose) !== undefined };
}

async function readKey(jwk: Members, index: number): Promise<{ kid: string; key: CryptoKey }> {
  const { alg, kid, use, x } = jwk;
  if (alg !== ALGORITHM || use !== "sig") throw invalid(`keys[${index}] is not for ${ALGORITHM} signatures`);
  if (typeof x !== "string" || decodeCanonical(x)?.length !== 32) throw invalid(`keys[${index}] is no Ed25519 key`);
  const bare = { kty: "OKP", crv: "Ed25519", x };
  if (!isKid(kid) || (await calculateJwkThumbprint(bare)) !== kid) {
    throw invalid(`keys[${index}] has an id that is not its thumbprint`);
  }
  const key = await importJWK(bare, ALGORITHM);
  if (key instanceof Uint8Array) throw invalid(`keys[${index}] is no public key`);
  return { kid, key };
}

function keysOf(input: unknown): unknown {
  if (typeof input !== "string") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch (cause) {
    throw invalid("no JSON", { cause });
  }
  return isMembers(value) ? value["keys"] : undefined;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPurpose(value: unknown): value is KeyPurpose {
  return typeof value === "string" && Object.hasOwn(TYPES, value);
}

function invalid(message: string, options: ErrorOptions = {}): ConnectTokenError {
  return new ConnectTokenError("InvalidKeySet", `key set: ${message}`, options);
}
