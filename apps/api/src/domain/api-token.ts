// An API token: "sp_", the 26 characters of its id, "_" and 32 random bytes in base64url. Only a hash of the secret is kept.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { ID_PREFIXES, isId } from "@sallyport/contracts";

const TOKEN = /^sp_([0-9a-z]{26})_([A-Za-z0-9_-]{43})$/;
const SECRET_BYTES = 32;
const PREFIX = `${ID_PREFIXES.apiToken}-`;

/** What a token's text says. */
export interface TokenParts {
  readonly apiTokenId: string;
  readonly secretHash: Buffer;
}

/** A fresh secret for a token id: the text for its owner, the hash for the store. */
export function newToken(apiTokenId: string): { readonly text: string; readonly secretHash: Buffer } {
  const secret = randomBytes(SECRET_BYTES);
  const text = `sp_${apiTokenId.slice(PREFIX.length)}_${secret.toString("base64url")}`;
  return { text, secretHash: hash(secret) };
}

/** Takes a token's text apart; undefined when it is none. Only the canonical spelling of a secret is one. */
export function parseToken(text: string): TokenParts | undefined {
  const [, ulid, encoded] = TOKEN.exec(text) ?? [];
  if (ulid === undefined || encoded === undefined) return undefined;
  const apiTokenId = `${PREFIX}${ulid}`;
  const secret = Buffer.from(encoded, "base64url");
  if (!isId("apiToken", apiTokenId) || secret.toString("base64url") !== encoded) return undefined;
  return { apiTokenId, secretHash: hash(secret) };
}

/** Compares two hashes in a time that does not tell where they differ. */
export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function hash(secret: Buffer): Buffer {
  return createHash("sha256").update(secret).digest();
}
