// From a text to signed members: form, key, signature, in this order. What a token says is read only once it is proven.

import { JWSSignatureVerificationFailed } from "jose/errors";
import { compactVerify } from "jose/jws/compact/verify";
import { readCompact, readMembers } from "./compact.ts";
import { ConnectTokenError } from "./errors.ts";
import type { KeySet } from "./key-set.ts";
import type { KeyPurpose } from "./wire.ts";
import { ALGORITHM } from "./wire.ts";

export interface Proven {
  readonly kid: string;
  /** Signed by that key; what they mean is unchecked. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** Throws `Malformed`, `UnknownKey`, `BadSignature` or `BadClaims`. */
export async function prove(text: string, purpose: KeyPurpose, keys: KeySet): Promise<Proven> {
  const compact = readCompact(text, purpose);
  if (compact === undefined) throw new ConnectTokenError("Malformed", "is not in the one form that is issued");
  const key = keys.get(compact.kid, purpose);
  if (key === undefined) throw new ConnectTokenError("UnknownKey", "is signed by no key that is known for it");
  try {
    await compactVerify(text, key, { algorithms: [ALGORITHM] });
  } catch (cause) {
    if (!(cause instanceof JWSSignatureVerificationFailed)) throw cause;
    throw new ConnectTokenError("BadSignature", "is not signed by the key that it names");
  }
  const members = readMembers(compact.payload);
  if (members === undefined) throw new ConnectTokenError("BadClaims", "carries claims that no issuer writes so");
  return { kid: compact.kid, members };
}
