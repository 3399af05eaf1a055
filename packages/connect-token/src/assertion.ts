// The names of @sallyport/connect-token/assertion: whoever imports them can assert to apps, and mint nothing.

export type { AssertionSignerOptions } from "./assertion-signer.ts";
export { AssertionSigner } from "./assertion-signer.ts";
export type { ConnectTokenErrorCode } from "./errors.ts";
export { ConnectTokenError } from "./errors.ts";
export type { PublicJwk } from "./key-set.ts";
export type { PrivateJwk } from "./signing-key.ts";
export { generateSigningKey, SigningKey } from "./signing-key.ts";
export type { KeyPurpose } from "./wire.ts";
