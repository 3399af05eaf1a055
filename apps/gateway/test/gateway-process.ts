// A gateway as a process of its own, to be killed: the doorway of main.ts, with slots mapped to local ports.
import { runMain } from "@sallyport/appkit/lifecycle";
import { startGateway } from "../src/app.ts";
import type { GatewayConfig } from "../src/config.ts";
import { mappedDial } from "./harness.ts";
import { PROGRAM } from "./real-init.ts";

const config = JSON.parse(process.env["TEST_CONFIG"] ?? "") as GatewayConfig;
const ports = new Map(JSON.parse(process.env["TEST_PORTS"] ?? "") as [string, number][]);

await runMain({
  name: "gateway",
  logLevel: process.env["SALLYPORT_LOG_LEVEL"] ?? "error",
  start: async ({ logger, listener }) =>
    await startGateway(config, {
      logger,
      ioListener: await listener("io"),
      dial: mappedDial(ports),
      initProgram: PROGRAM,
    }),
});
