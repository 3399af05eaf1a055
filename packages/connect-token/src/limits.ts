// Every bound of this package, by name.

/** How long a connect token lives unless its issuer says otherwise, in milliseconds: one hour. */
export const DEFAULT_LIFE_MS = 3_600_000;
/** The shortest life that can be asked for, in milliseconds. */
export const MIN_LIFE_MS = 1_000;
/** The longest life that can be asked for, in milliseconds: one day. A key that signs no more stays published so long. */
export const MAX_LIFE_MS = 86_400_000;
/** The port that a token is for unless its issuer says otherwise. */
export const DEFAULT_PORT = 8_080;
/** User data has fewer characters than this as ASCII JSON. */
export const USER_DATA_LIMIT = 512;
/** The most characters of a token or an assertion; what has more is refused unread. The longest that is issued fits. */
export const MAX_TOKEN_CHARACTERS = 2_560;
/** How long an assertion is good for, in milliseconds: one minute. */
export const ASSERTION_LIFE_MS = 60_000;
/** How far the issuer's clock may be ahead of the verifier's, in milliseconds. Ends are exact. */
export const CLOCK_SKEW_MS = 30_000;
/** How many verified tokens a verifier remembers unless told otherwise. */
export const DEFAULT_CACHED_TOKENS = 8_192;
/** The most keys of a key set: those of connect tokens, and four of each edge. */
export const MAX_KEYS = 256;
