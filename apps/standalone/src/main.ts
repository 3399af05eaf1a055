// Doorway of the supervisor.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startStandalone } from "./app.ts";
import { readConfig } from "./config.ts";

process.umask(0o077); // what it makes is root's, until a mode says otherwise

await runMain({
  name: "standalone",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  stopDeadlineMs: 20_000,
  start: ({ logger, signal }) => startStandalone(readConfig(process.env), { logger, signal }),
});
