// Doorway of the supervisor.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startStandalone } from "./app.ts";
import { readConfig } from "./config.ts";

await runMain({
  name: "standalone",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  stopDeadlineMs: 20_000,
  start: ({ logger, signal }) => startStandalone(readConfig(process.env), { logger, signal }),
});
