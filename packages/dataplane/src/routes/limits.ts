// Every bound of the watched route table, by name.

/** Ended routes are known for so long, in milliseconds: one hour. */
export const ENDED_ROUTE_KEPT_MS = 3_600_000;
/** The most routes of a table. Beyond, ended ones are forgotten early; if that is not enough, the step is not taken. */
export const MAX_ROUTES = 262_144;
/**
 * The most revoked tokens of a table, and of one sandbox. Beyond, all tokens that the sandbox with most of them has so far
 * are refused. The api lets a sandbox have fewer.
 */
export const MAX_REVOKED_TOKENS = 262_144;
export const MAX_REVOKED_TOKENS_PER_SANDBOX = 16_384;
/** The most routes, and the most revoked tokens, of one part. */
export const MAX_ENTRIES_PER_PART = 16_384;
/** The most declared ports, and the most CIDRs of who may come, of one route. The api lets a sandbox have fewer. */
export const MAX_TUNNELS_PER_ROUTE = 64;
export const MAX_INBOUND_CIDRS = 256;
/** The most parts before one that is complete. */
export const MAX_PARTS = 4_096;
/** The most characters of a key set. */
export const MAX_KEY_SET_CHARACTERS = 65_536;
/** The api says something each second; who is silent for so long is dialled anew. In milliseconds. */
export const SILENT_API_MS = 10_000;
/** How long an acknowledgement may take, in milliseconds. */
export const ACKNOWLEDGE_MS = 5_000;
/** How often what is over is forgotten, in milliseconds. */
export const SWEEP_MS = 60_000;
/** The journal is written anew when what was appended is longer than the snapshot before it, and than this. In bytes. */
export const MIN_REWRITE_BYTES = 1_048_576;
/** The most bytes of a stored journal; what is longer is none of ours. */
export const MAX_FILE_BYTES = 268_435_456;
