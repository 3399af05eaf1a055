// The doorway of the worker.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startWorker } from "./app.ts";
import { readConfig } from "./config.ts";

await runMain({
  name: "worker",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  start: ({ logger }) => startWorker(readConfig(process.env), { logger }),
});
