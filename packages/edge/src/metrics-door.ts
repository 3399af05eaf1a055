// Where the machine's operator reads the metrics: HTTP at a Unix socket in the edge's own folder, and at a port of the
// loopback if the settings name one. They hold no token and no name of anybody's.
import { chmod, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { ListenOptions } from "node:net";
import { connect } from "node:net";

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
  if (typeof where === "string") {
    if (await isAnswered(where)) throw new Error(`another edge runs in this folder: it answers at ${where}`);
    await rm(where, { force: true }); // a killed predecessor leaves its socket file behind
    await listen(server, { path: where });
    await chmod(where, 0o600);
  } else {
    await listen(server, { host: "127.0.0.1", port: where });
  }
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect({ path });
  probe.once("connect", () => resolve(true));
  probe.once("error", () => resolve(false));
  return promise.finally(() => probe.destroy());
}

function listen(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, resolve);
  });
}
