// Where the machine's operator reads the metrics: HTTP at a Unix socket in the edge's own folder, and at a port of the
// loopback if the settings name one. They hold no token and no name of anybody's.
import type { Server } from "node:http";
import { createServer } from "node:http";
import { listenAtOwnSocket } from "./own-socket.ts";

/**
 * GET /metrics at a path, for the edge's own user and root: rejects where another process answers at it already. At a port,
 * for every user of the machine.
 */
export async function openMetricsDoor(where: string | number, metrics: { text(): string }): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    const found = request.method === "GET" && request.url === "/metrics";
    response.writeHead(found ? 200 : 404, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(found ? metrics.text() : "GET /metrics\n");
  });
  if (typeof where === "string") await listenAtOwnSocket(server, where, 0o600);
  else await listen(server, where);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // Of two processes of which one replaces the other, both have it for a moment.
    server.listen({ host: "127.0.0.1", port, reusePort: true }, resolve);
  });
}
