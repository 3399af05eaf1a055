// What a caller over HTTP may cost before it is known to be anybody's.

/** Head of a request; node:http answers 431 beyond. */
export const MAX_HEAD_BYTES: number = 16 * 1024;
export const MAX_HEADERS = 100;
/** A head that is not whole by then is answered 408. */
export const HEAD_DEADLINE_MS = 10_000;
/** A JSON body that is not whole by then is refused. */
export const BODY_DEADLINE_MS = 30_000;
/** A streamed body that stands still for so long is given up. */
export const BODY_IDLE_MS = 60_000;
/** A JSON body; 1 MiB of bytes is 1.4 MiB of base64. */
export const MAX_JSON_BYTES: number = 2 * 1024 * 1024;
/** A connection without a request on it. */
export const KEEP_ALIVE_MS = 15_000;
export const MAX_CONNECTIONS = 1_000;
/** Calls of one workspace that are in flight: streams and waits of one caller leave the others their connections. */
export const MAX_CALLS_PER_WORKSPACE = 400;
/** How often node:http looks for connections that are too slow. */
export const CHECK_EVERY_MS = 2_000;
/** Parameters of a query. */
export const MAX_PARAMS = 200;
/** Between two comments on a stream that has nothing to tell. */
export const HEARTBEAT_MS = 15_000;
/** A stream that is refused within this time is refused by its status; afterwards by an event. */
export const EARLY_REFUSAL_MS = 150;
