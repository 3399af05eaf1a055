// The names of @sallyport/connect-token/issue: whoever imports them can mint, given a key.

export type { ConnectTokenErrorCode } from "./errors.ts";
export { ConnectTokenError } from "./errors.ts";
export type { ConnectTokenRequest, IssuedToken, Issuer } from "./issue-token.ts";
export { issueConnectToken } from "./issue-token.ts";
export type { PublicJwk } from "./key-set.ts";
export { DEFAULT_LIFE_MS, DEFAULT_PORT, MAX_LIFE_MS, MIN_LIFE_MS, USER_DATA_LIMIT } from "./limits.ts";
export type { PrivateJwk } from "./signing-key.ts";
export { generateSigningKey, SigningKey } from "./signing-key.ts";
export type { Json } from "./user-data.ts";
export { serializeUserData } from "./user-data.ts";
export type { KeyPurpose } from "./wire.ts";
