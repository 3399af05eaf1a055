// Bounds of what strangers may do before an edge has read what they want: named, with defaults.

export interface EdgeLimits {
  /**
   * Client connections that are open at the same time, in all (each may need two descriptors), of one address (IPv6: of a
   * /64), to one sandbox.
   */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly connectionsPerSandbox: number;
  /** TLS handshakes under way. */
  readonly handshakes: number;
  /** From the ClientHello to the end of the handshake, a certificate's issue included. */
  readonly handshakeMs: number;
}

export const DEFAULT_EDGE_LIMITS: EdgeLimits = {
  connections: 8_192,
  connectionsPerAddress: 2_048,
  connectionsPerSandbox: 1_024,
  handshakes: 512,
  handshakeMs: 10_000,
};

/** The address that has most handshakes under way may replace those of its own that are older, in milliseconds. */
export const OWN_HANDSHAKE_SHED_MS = 1_000;
/** From the connection to the whole ClientHello, in milliseconds: whoever wants to talk says so at once. */
export const HELLO_MS = 3_000;
/** From the connection to the whole PROXY header of a peer that sends one, in milliseconds. */
export const PROXY_HEADER_MS = 3_000;
/** Of a ClientHello with its records' heads; one with post-quantum key shares has some 2,000. */
export const MAX_HELLO_BYTES = 17_408;
/**
 * Encrypted bytes of a connection that its client does not take: more than is ever written at once, since nobody writes on
 * before it has. How often is looked for more, in milliseconds.
 */
export const MAX_UNSENT_TLS_BYTES = 1_048_576;
export const LOOK_AT_UNSENT_MS = 2_000;
/** TLS contexts that are kept ready; those used least lately are made again from the certificate. */
export const MAX_CONTEXTS = 1_024;
/** Contexts for hosts that lead to no known sandbox. */
export const MAX_UNKNOWN_CONTEXTS = 64;
/** Certificates that are kept, on disk too. */
export const MAX_CERTIFICATES = 16_384;
/** Certificates that are asked for at the same time, and that wait for their turn. */
export const MAX_ISSUES_IN_FLIGHT = 8;
export const MAX_ISSUES_WAITING = 16_384;
/** How long the api may take to issue one, in milliseconds. */
export const ISSUE_MS = 5_000;
/** The same to hear of a process that is over. */
export const LEAVE_MS = 5_000;
/** Certificates for hosts of sandboxes that are not known: so many at once, then so many each second. */
export const UNKNOWN_ISSUES_BURST = 32;
export const UNKNOWN_ISSUES_PER_SECOND = 2;
/** A certificate is renewed when less than this part of its life is left. */
export const RENEWED_BEFORE_END: number = 1 / 3;
/** How often is looked for what must be renewed, and for what is over, in milliseconds. */
export const LOOK_AT_CERTIFICATES_MS = 600_000;
/** The same after one that did not come, at first; then twice as long each time. */
export const LOOK_AGAIN_MS = 2_000;
/** How often certificate files of the operator's are looked at, in milliseconds. */
export const LOOK_AT_FILES_MS = 5_000;

/** How long one secret is used for TLS session tickets, in milliseconds: no session is resumed with it later. */
export const TICKET_PERIOD_MS = 3_600_000;
/** How often is looked whether it is over, in milliseconds. */
export const LOOK_AT_TICKETS_MS = 60_000;

/** Days of which the access log is kept, and the most bytes of one day; beyond, lines are counted and not written. */
export const ACCESS_LOG_DAYS = 14;
export const ACCESS_LOG_DAY_BYTES = 1_073_741_824;
/** Bytes of the access log that wait for the disk; beyond, lines are counted and not written. */
export const ACCESS_LOG_WAITING_BYTES = 4_194_304;
/** How long a line may wait to be written with others, in milliseconds. */
export const ACCESS_LOG_FLUSH_MS = 200;
/** Characters of a path, and of every other text, in the access log. */
export const ACCESS_LOG_TEXT_CHARACTERS = 512;
