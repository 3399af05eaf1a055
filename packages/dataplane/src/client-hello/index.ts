// What the first bytes of a TLS connection say of where it wants to go, read before anything else looks at them.

export type { AlertName } from "./alert.ts";
export { formatAlert } from "./alert.ts";
export { MAX_CLIENT_HELLO_BYTES } from "./limits.ts";
export { ClientHelloReader } from "./reader.ts";
export type { ClientHello, ClientHelloResult, HelloRefusal, NeedMore, RefusalReason } from "./result.ts";
