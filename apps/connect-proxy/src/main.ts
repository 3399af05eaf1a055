// The doorway of the connect-proxy.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startConnectProxy } from "./app.ts";
import { readConfig } from "./config.ts";

process.umask(0o077); // keys, routes and logs are the proxy's own

/** Beyond the time that requests have to end when the proxy stops. */
const STOP_MARGIN_MS = 3_000;
let drainMs = 0;

await runMain({
  name: "connect-proxy",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  stopDeadlineMs: () => drainMs + STOP_MARGIN_MS,
  async start({ logger, listener, signal }) {
    const config = readConfig(process.env);
    drainMs = config.drainMs;
    const names = Array.from({ length: config.listeners }, (_, index) => `connect-${index}`);
    const listeners = await Promise.all(names.map(listener));
    const handOver = config.takesHandOver ? await listener("handover") : undefined;
    return await startConnectProxy(config, { logger, listeners, handOver, signal });
  },
});
