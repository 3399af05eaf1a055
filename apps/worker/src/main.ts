// The doorway of the worker.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startWorker } from "./app.ts";
import { readConfig } from "./config.ts";

// What must be readable inside sandboxes is made so on purpose, and nothing more.
process.umask(0o022);

await runMain({
  name: "worker",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  start: ({ logger, signal }) => startWorker(readConfig(process.env), { logger, signal }),
});
