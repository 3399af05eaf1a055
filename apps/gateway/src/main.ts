// The doorway of the gateway.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startGateway } from "./app.ts";
import { readConfig } from "./config.ts";

// Sockets and files are the gateway's own; where a group may come in, the mode is set on purpose.
process.umask(0o077);

await runMain({
  name: "gateway",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  async start({ logger, listener }) {
    const config = readConfig(process.env);
    return await startGateway(config, {
      logger,
      ioListener: await listener("io"),
      httpListener: await listener("http"),
    });
  },
});
