// Wire words: what issuers, proxies, browsers and apps must spell alike.

/** What a key signs: connect tokens (the api's keys), or the assertions that a proxy hands to apps. Never both. */
export type KeyPurpose = "connect-token" | "assertion";

/** The one algorithm: Ed25519, by the name that every library knows (RFC 8037). */
export const ALGORITHM = "EdDSA";
/** The header's `typ` by what the key is for: neither kind of token passes for the other (RFC 8725, section 3.11). */
export const TYPES: Readonly<Record<KeyPurpose, string>> = {
  "connect-token": "sallyport-connect+jwt",
  assertion: "sallyport-assertion+jwt",
};
/** Member of a published key that says what it signs. Readers that do not know it skip it (RFC 7517, section 4). */
export const PURPOSE_MEMBER = "sallyport:purpose";

/** Header of a request to the app: the token's user data as ASCII JSON. */
export const USER_DATA_HEADER = "X-Verified-User-Data";
/** Header of a request to the app: the signed assertion. */
export const ASSERTION_HEADER = "X-Verified-User-Assertion";

/** Names of the token in a query and in cookies, the preferred one first. */
export const TOKEN_NAMES: readonly string[] = ["_connect_token", "_modal_connect_token"];
/** Before a cookie's name: set by this very host over TLS and by no sibling (RFC 6265bis, section 4.1.3.2). */
export const HOST_PREFIX = "__Host-";
/** Names of the token's cookies, the preferred one first: whatever a sibling could have set comes last. */
export const COOKIE_NAMES: readonly string[] = [...TOKEN_NAMES.map((name) => HOST_PREFIX + name), ...TOKEN_NAMES];
