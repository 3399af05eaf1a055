// The doorway of the tunnel-edge.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startTunnelEdge } from "./app.ts";
import { readConfig } from "./config.ts";

process.umask(0o077); // keys, routes and logs are the edge's own

/** Beyond the time that connections have to end when the edge stops. */
const STOP_MARGIN_MS = 3_000;
let drainMs = 0;

await runMain({
  name: "tunnel-edge",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  stopDeadlineMs: () => drainMs + STOP_MARGIN_MS,
  async start({ logger, listener, signal }) {
    const config = readConfig(process.env);
    drainMs = config.drainMs;
    const names = Array.from({ length: config.listeners }, (_, index) => `tunnel-${index}`);
    return await startTunnelEdge(config, { logger, listeners: await Promise.all(names.map(listener)), signal });
  },
});
