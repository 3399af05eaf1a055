// base64url (RFC 7515, section 2) in its one spelling.

import { decode, encode } from "jose/base64url";

/** The bytes of a text, if the text is how they are written: no padding, blanks, foreign characters or stray last bits. */
export function decodeCanonical(text: string): Uint8Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = decode(text);
  } catch {
    return undefined; // not base64 at all
  }
  return encode(bytes) === text ? bytes : undefined;
}
