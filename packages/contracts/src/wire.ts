// Wire words: metadata keys, names and limits that two processes must spell alike.

/** gRPC metadata of callers: `Bearer <token>`. */
export const AUTHORIZATION_KEY = "authorization";
/** Standard trailer that carries google.rpc.Status. */
export const STATUS_DETAILS_KEY = "grpc-status-details-bin";
/** Type URL of the one detail that our errors carry. */
export const ERROR_DETAIL_TYPE = "type.googleapis.com/sallyport.v1.ErrorDetail";
/** gRPC metadata that names a call in the logs; set by the caller or else by the server. */
export const REQUEST_ID_KEY = "x-request-id";
/** The exec id of a sandbox's own command. */
export const ENTRYPOINT_EXEC_ID = "entrypoint";
/** TCP port on which init listens inside every sandbox; no tenant may declare it. */
export const INIT_PORT = 10_099;
/** The longest any call waits for something to happen, in milliseconds; callers ask again. */
export const MAX_WAIT_MS = 60_000;
/** The most bytes of output or input in one message. */
export const MAX_CHUNK_BYTES: number = 256 * 1024;
/** What an exec id looks like. */
export const EXEC_ID_PATTERN: RegExp = /^[A-Za-z0-9_-]{1,64}$/;
