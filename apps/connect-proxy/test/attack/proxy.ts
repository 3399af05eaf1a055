// The proxy as its main starts it, in this process: settings as environment variables, one listening socket handed over.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { silentLogger } from "@sallyport/appkit/logger";
import { startConnectProxy } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";

export interface ProxyOptions {
  /** A folder for its state. */
  readonly home: string;
  /** Sockets of the api and of the gateway. */
  readonly edge: string;
  readonly gateway: string;
  readonly domain: string;
  readonly platformId: string;
  /** Further environment variables. */
  readonly settings: Readonly<Record<string, string>>;
  /** Ends a start that waits. */
  readonly signal?: AbortSignal | undefined;
}

/** Starts it on a free port of the loopback; where the settings ask for no listeners, `port` is nobody's. */
export async function startProxy(options: ProxyOptions): Promise<AsyncDisposable & { readonly port: number }> {
  const listener = createServer();
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const config = readConfig({
    SALLYPORT_CONNECT_STATE: join(options.home, "state"),
    SALLYPORT_CONNECT_LISTENERS: "1",
    SALLYPORT_CONNECT_DOMAIN: options.domain,
    SALLYPORT_API_EDGE_SOCKET: options.edge,
    SALLYPORT_GATEWAY_OPEN_SOCKET: options.gateway,
    SALLYPORT_PLATFORM_ID: options.platformId,
    SALLYPORT_CONNECT_DRAIN_MS: "0",
    ...options.settings,
  });
  if (config.listeners === 0) listener.close();
  const listeners = config.listeners === 0 ? [] : [listener];
  const proxy = await startConnectProxy(config, { logger: silentLogger, listeners, signal: options.signal });
  return { port, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
}
