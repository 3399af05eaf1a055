// A TCP proxy that cuts each connection after some bytes from the server, wherever in a message that falls.
import { createConnection, createServer, type Server, type Socket } from "node:net";

/** Listens on a free port of the loopback. */
export class CuttingProxy implements AsyncDisposable {
  /** Connections that were cut. */
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Forwards to a port of the loopback; connection n (from 0) is cut once `bytesOf(n)` bytes came from the server. */
  static async start(port: number, bytesOf: (connection: number) => number): Promise<CuttingProxy> {
    const server = createServer();
    const proxy = new CuttingProxy(server);
    let connections = 0;
    server.on("connection", (client) => {
      proxy.#forward(client, port, bytesOf(connections));
      connections += 1;
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  /** host:port. */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy listens no more");
    return `127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #forward(client: Socket, port: number, bytes: number): void {
    const upstream = createConnection({ port, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.on("data", (data) => upstream.write(data));
    let left = bytes;
    upstream.on("data", (data) => {
      if (left <= 0) return;
      const part = data.subarray(0, left);
      left -= part.length;
      if (left > 0) {
        client.write(part);
        return;
      }
      this.cuts += 1;
      // What was let through arrives before the cut.
      client.end(part, end);
    });
  }
}
