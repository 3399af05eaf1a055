// The real worker as a process of its own, with the tests' network, so that a test can kill it. Its network has lost its
// rules for as long as the file RULES_LOST is there.
import { existsSync } from "node:fs";
import { runMain } from "@sallyport/appkit/lifecycle";
import { type NetworkTellers, startWorker } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import { openFakeNetwork } from "./fake-network.ts";

const tag = process.env["FAKE_NETWORK_TAG"] ?? "";
const rulesLost = process.env["RULES_LOST"] ?? "";
const LOOK_MS = 10;

async function startNetwork(tellers: NetworkTellers): ReturnType<typeof openFakeNetwork> {
  let isLost = false;
  const look = async (): Promise<void> => {
    if (existsSync(rulesLost) !== isLost) {
      isLost = !isLost;
      await (isLost ? tellers.onRulesLost?.() : tellers.onRulesRestored?.());
    }
    setTimeout(() => void look(), LOOK_MS).unref();
  };
  const network = await openFakeNetwork(tag);
  void look();
  return network;
}

await runMain({
  name: "worker",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"],
  start: ({ logger }) => startWorker(readConfig(process.env), { logger, startNetwork }),
});
