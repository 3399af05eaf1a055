// The outside of a token (JWS compact serialization, RFC 7515 section 7.1), read without trusting a byte of it. Every
// token has exactly one spelling: its header is compared with what an issuer of ours writes, never interpreted. So there
// is no `alg` to be confused about, and no `jwk`, `jku`, `x5u`, `crit` or `b64` to be obeyed.

import { encode } from "jose/base64url";
import { decodeCanonical } from "./base64url.ts";
import { MAX_TOKEN_CHARACTERS } from "./limits.ts";
import type { KeyPurpose } from "./wire.ts";
import { ALGORITHM, TYPES } from "./wire.ts";

/** A token whose form is right. Nothing about it is verified. */
export interface Compact {
  /** Key id: a JWK thumbprint. */
  readonly kid: string;
  readonly payload: Uint8Array;
}

/** Characters of an Ed25519 signature of 64 bytes. */
const SIGNATURE_CHARACTERS = 86;
const KID = /^[A-Za-z0-9_-]{43}$/;
const decoder = new TextDecoder("latin1");

/** Whether a text can be a key id: the SHA-256 of a key in base64url (RFC 7638). */
export function isKid(text: unknown): text is string {
  return typeof text === "string" && KID.test(text);
}

function headerOf(purpose: KeyPurpose, kid: string): string {
  return `{"alg":"${ALGORITHM}","typ":"${TYPES[purpose]}","kid":"${kid}"}`;
}

/**
 * With this every connect token begins, and nothing else does: by it a token is told from another bearer's, and found in
 * what must hold none.
 */
export const TOKEN_PREFIX: string = prefixOf("connect-token");

function prefixOf(purpose: KeyPurpose): string {
  const before = headerOf(purpose, "").slice(0, -2);
  // Three bytes are four characters; what is left over depends on the key id.
  return encode(before.slice(0, before.length - (before.length % 3)));
}

/** Reads a token of this kind; `undefined` unless all of it is canonical. */
export function readCompact(text: string, purpose: KeyPurpose): Compact | undefined {
  if (text.length > MAX_TOKEN_CHARACTERS) return undefined;
  const first = text.indexOf(".");
  const second = text.indexOf(".", first + 1);
  if (first < 0 || second <= first + 1 || text.length - second - 1 !== SIGNATURE_CHARACTERS) return undefined;
  const header = decodeCanonical(text.slice(0, first));
  const payload = decodeCanonical(text.slice(first + 1, second));
  if (header === undefined || payload === undefined) return undefined;
  if (decodeCanonical(text.slice(second + 1)) === undefined) return undefined;
  const kid = kidOf(decoder.decode(header), purpose);
  return kid === undefined ? undefined : { kid, payload };
}

function kidOf(header: string, purpose: KeyPurpose): string | undefined {
  const kid = header.slice(-45, -2);
  return isKid(kid) && header === headerOf(purpose, kid) ? kid : undefined;
}

/**
 * The members of a payload, if it is a JSON object of ASCII just as `JSON.stringify` writes it: without blanks, double
 * keys, and other spellings of strings and numbers. `undefined` otherwise.
 */
export function readMembers(payload: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  if (payload.some((byte) => byte > 0x7e)) return undefined;
  const text = decoder.decode(payload);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // no JSON
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return JSON.stringify(value) === text ? (value as Record<string, unknown>) : undefined;
}
