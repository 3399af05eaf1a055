// The real worker as a process of its own, with the tests' network, so that a test can kill it.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startWorker } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import { openFakeNetwork } from "./fake-network.ts";

const tag = process.env["FAKE_NETWORK_TAG"] ?? "";

await runMain({
  name: "worker",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  start: ({ logger }) => startWorker(readConfig(process.env), { logger, startNetwork: () => openFakeNetwork(tag) }),
});
