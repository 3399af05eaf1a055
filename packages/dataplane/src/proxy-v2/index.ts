// PROXY protocol, version 2: how a connection is handed on with the addresses that it came from and went to.

export { MAX_PROXY_HEADER_BYTES } from "./format.ts";
export type { Endpoint, ProxyHeader } from "./header.ts";
export type { ProxyHeaderRefusal, ProxyHeaderResult } from "./reader.ts";
export { ProxyHeaderReader } from "./reader.ts";
export type { WriteOptions } from "./write.ts";
export { formatProxyHeader } from "./write.ts";
