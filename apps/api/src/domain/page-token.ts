// Page tokens: where a listing goes on, sealed so that only what this api made for the same listing is taken back.
import { createHmac } from "node:crypto";
import { sameHash } from "./api-token.ts";

const MAC_BYTES = 16;

/** Which listing a page belongs to: a token of one is worth nothing in another. */
export type Listing = readonly (string | boolean | undefined)[];

/** A token that says: go on after this id. */
export function sealPageToken(key: Uint8Array, listing: Listing, afterId: string): string {
  return Buffer.concat([mac(key, listing, afterId), Buffer.from(afterId)]).toString("base64url");
}

/** The id to go on after; undefined when the token was not made for this listing, or was touched. */
export function openPageToken(key: Uint8Array, listing: Listing, token: string): string | undefined {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.toString("base64url") !== token || bytes.length <= MAC_BYTES) return undefined;
  const afterId = bytes.subarray(MAC_BYTES).toString();
  return sameHash(bytes.subarray(0, MAC_BYTES), mac(key, listing, afterId)) ? afterId : undefined;
}

function mac(key: Uint8Array, listing: Listing, afterId: string): Buffer {
  const text = JSON.stringify([...listing.map((part) => part ?? null), afterId]);
  return createHmac("sha256", key).update(text).digest().subarray(0, MAC_BYTES);
}
