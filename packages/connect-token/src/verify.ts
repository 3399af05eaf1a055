// The names of @sallyport/connect-token/verify: nothing here can sign.

export type { Carrier, RawHeader, TakenToken } from "./carriers.ts";
export { pairHeaders, takeConnectToken } from "./carriers.ts";
export { TOKEN_PREFIX } from "./compact.ts";
export type { TakenCookies } from "./cookies.ts";
export { takeFromCookies } from "./cookies.ts";
export type { ConnectTokenErrorCode } from "./errors.ts";
export { ConnectTokenError } from "./errors.ts";
export type { Found } from "./found.ts";
export type { KeySet, PublicJwk } from "./key-set.ts";
export { parseKeySet } from "./key-set.ts";
export {
  ASSERTION_LIFE_MS,
  CLOCK_SKEW_MS,
  DEFAULT_CACHED_TOKENS,
  MAX_KEYS,
  MAX_LIFE_MS,
  MAX_TOKEN_CHARACTERS,
} from "./limits.ts";
export type { TakenQuery } from "./query.ts";
export { takeFromQuery } from "./query.ts";
export type { TokenCookies } from "./set-cookies.ts";
export { setTokenCookies } from "./set-cookies.ts";
export type { Json } from "./user-data.ts";
export { parseUserData } from "./user-data.ts";
export type { ConnectGrant, Target, VerifierOptions } from "./verifier.ts";
export { ConnectTokenVerifier } from "./verifier.ts";
export type { Assertion, AssertionOptions } from "./verify-assertion.ts";
export { verifyAssertion } from "./verify-assertion.ts";
export type { KeyPurpose } from "./wire.ts";
export { ASSERTION_HEADER, COOKIE_NAMES, HOST_PREFIX, TOKEN_NAMES, USER_DATA_HEADER } from "./wire.ts";
