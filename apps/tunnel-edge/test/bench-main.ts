// A program for benchmarks: the edge as its main starts it, with a listener of its own. Its arguments are a port of
// 127.0.0.1 and, as JSON, the settings.
import { createServer } from "node:net";
import { createLogger } from "@sallyport/appkit/logger";
import { startTunnelEdge } from "../src/app.ts";
import { readConfig } from "../src/config.ts";

const [port, settings = ""] = process.argv.slice(2);
process.umask(0o077); // as main
const listener = createServer();
listener.on("newListener", (event: string) => {
  if (event === "connection") listener.listen(Number(port), "127.0.0.1"); // nobody would take who comes earlier
});
const config = readConfig(JSON.parse(settings) as Readonly<Record<string, string>>);
await startTunnelEdge(config, { logger: createLogger("tunnel-edge"), listeners: [listener] });
