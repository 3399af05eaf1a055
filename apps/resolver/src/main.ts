// The doorway of the resolver.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startResolver } from "./app.ts";
import { readConfig } from "./config.ts";
import { socketsAt } from "./sockets.ts";

await runMain({
  name: "resolver",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  async start({ logger }) {
    const config = readConfig(process.env);
    return await startResolver(config, { logger, sockets: socketsAt(config.sockets) });
  },
});
