// Tokens that nobody should take: made by hand, with whatever header, payload and signature.

import { createHmac, type KeyObject, sign } from "node:crypto";

export const base64url = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");

/** Header, payload and signature of a token. */
export function partsOf(token: string): [header: string, payload: string, signature: string] {
  const [header = "", payload = "", signature = ""] = token.split(".");
  return [header, payload, signature];
}

export const textOf = (part: string): string => Buffer.from(part, "base64url").toString("latin1");

/** Signs header and payload, given as text, by Ed25519. */
export function signed(header: string, payload: string | Uint8Array, key: KeyObject): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${base64url(sign(null, Buffer.from(input), key))}`;
}

/** The same by an HMAC. */
export function macced(header: string, payload: string, secret: string | Uint8Array): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${base64url(createHmac("sha256", secret).update(input).digest())}`;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Another spelling of the same bytes: the last character's unused bits set. */
export function strayBits(part: string): string {
  const last = ALPHABET.indexOf(part.at(-1) ?? "");
  const unused = part.length % 4 === 2 ? 15 : part.length % 4 === 3 ? 3 : 0;
  if (unused === 0) throw new Error("no unused bits in a part of this length");
  return part.slice(0, -1) + ALPHABET[last | unused];
}

/** The group's order L: a signature with S + L in place of S is good to whoever does not look (RFC 8032, 5.1.7). */
const ORDER = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;

export function malleated(signature: string): string {
  const bytes = Buffer.from(signature, "base64url");
  const scalar = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString("hex")}`) + ORDER;
  const written = Buffer.from(scalar.toString(16).padStart(64, "0"), "hex").reverse();
  return base64url(Buffer.concat([bytes.subarray(0, 32), written]));
}
