// The doorway of the api.
import { systemClock } from "@sallyport/appkit/clock";
import { runMain } from "@sallyport/appkit/lifecycle";
import { startApi } from "./app.ts";
import { readConfig } from "./config.ts";

process.umask(0o077); // a socket is its own until its mode is set

await runMain({
  name: "sallyport-api",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  start: ({ logger, signal }) => startApi(readConfig(process.env), { logger, signal, clock: systemClock }),
});
