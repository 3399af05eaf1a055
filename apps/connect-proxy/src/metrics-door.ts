// Where the machine's operator reads the metrics: HTTP at a Unix socket in the proxy's own folder.
import { chmod, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { Metrics } from "./metrics.ts";

/** GET /metrics at this path, for the proxy's own user and root. */
export async function openMetricsDoor(path: string, metrics: Metrics): Promise<AsyncDisposable> {
  await rm(path, { force: true }); // a killed predecessor leaves its socket file behind
  const server = createServer((request, response) => {
    const found = request.method === "GET" && request.url === "/metrics";
    response.writeHead(found ? 200 : 404, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(found ? metrics.text() : "GET /metrics\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
