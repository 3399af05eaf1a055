// How much of a connection may be read before it has said where it wants to go.

/** The most bytes of a ClientHello with the heads of its records; one with post-quantum key shares has some 2,000. */
export const MAX_CLIENT_HELLO_BYTES = 65_536;
/** The most bytes of a record's content (RFC 8446, section 5.1). */
export const MAX_RECORD_BYTES = 16_384;
