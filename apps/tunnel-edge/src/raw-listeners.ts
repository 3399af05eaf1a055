// The listening sockets of raw ports: there as long as their routes are. Several processes listen at each (SO_REUSEPORT),
// also while one of them takes another one's place.
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import type { RouteTable, TunnelWay } from "@sallyport/dataplane/routes";
import { RareWarning } from "@sallyport/edge";
import type { PortRange } from "./config.ts";
import { LISTEN_AGAIN_MS, RAW_BACKLOG } from "./limits.ts";

export interface RawListenersOptions {
  readonly table: RouteTable;
  readonly address: string;
  /** No other port is listened at, whatever routes say. */
  readonly ports: PortRange;
  readonly onConnection: (socket: Socket, publicPort: number) => void;
  readonly logger: Logger;
}

interface Listener {
  /** Whose port it is: a connection for another sandbox never comes through it. */
  readonly owner: string;
  readonly server: Server;
  state: "binding" | "listening" | "failed" | "closed";
}

/** Disposal closes them all; connections that were taken go on. */
export class RawListeners implements AsyncDisposable {
  readonly #options: RawListenersOptions;
  /** By public port. */
  readonly #listeners = new Map<number, Listener>();
  readonly #binding = new Set<Promise<void>>();
  readonly #subscription: Disposable;
  readonly #again: NodeJS.Timeout;
  readonly #failed: RareWarning;
  readonly #outside: RareWarning;

  constructor(options: RawListenersOptions) {
    this.#options = options;
    this.#failed = new RareWarning(options.logger, "a raw port cannot be listened at; trying again");
    this.#outside = new RareWarning(options.logger, "a route names a raw port that is not of this edge");
    this.#subscription = options.table.onChange(() => this.#follow());
    this.#again = setInterval(() => this.#followAgain(), LISTEN_AGAIN_MS);
    this.#follow();
  }

  get listening(): number {
    return this.#count("listening");
  }

  /** Ports that are a route's and cannot be listened at now. */
  get failed(): number {
    return this.#count("failed");
  }

  /** Resolves when every port of the table has been tried: one that is somebody else's holds nobody up. */
  async settled(): Promise<void> {
    while (this.#binding.size > 0) await Promise.all(this.#binding);
  }

  /**
   * Closes right after a look at what has come. What the kernel has taken and this process has not goes to another
   * process's socket where one listens (net.ipv4.tcp_migrate_req, which the worker switches on), and is reset otherwise.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription[Symbol.dispose]();
    clearInterval(this.#again);
    await this.settled();
    for (const _turn of [1, 2]) await new Promise((resolve) => setImmediate(resolve));
    for (const [port, listener] of this.#listeners) this.#close(port, listener);
  }

  #follow(): void {
    const { ports, table } = this.#options;
    const wanted = new Map<number, TunnelWay>();
    for (const port of table.publicPorts()) {
      const way = table.tunnelByPublicPort(port);
      if (way === undefined) continue;
      if (port >= ports.from && port <= ports.to) wanted.set(port, way);
      else this.#outside.tell({ port, sandboxId: way.sandboxId });
    }
    for (const [port, listener] of this.#listeners) {
      const way = wanted.get(port);
      if (way === undefined || ownerOf(way) !== listener.owner) this.#close(port, listener);
    }
    for (const [port, way] of wanted) if (!this.#listeners.has(port)) this.#listen(port, ownerOf(way));
  }

  #followAgain(): void {
    for (const [port, listener] of this.#listeners) if (listener.state === "failed") this.#close(port, listener);
    this.#follow();
  }

  #listen(port: number, owner: string): void {
    const { address, onConnection } = this.#options;
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const listener: Listener = { owner, server, state: "binding" };
    this.#listeners.set(port, listener);
    server.on("connection", (socket: Socket) => {
      if (listener.state === "listening") onConnection(socket, port);
      else socket.destroy();
    });
    const settled = Promise.withResolvers<void>();
    server.once("listening", () => {
      if (listener.state === "closed") server.close();
      else listener.state = "listening";
      settled.resolve();
    });
    server.on("error", (error) => {
      if (listener.state === "binding") listener.state = "failed";
      this.#failed.tell({ err: error, port });
      settled.resolve();
    });
    const binding = settled.promise.finally(() => this.#binding.delete(binding));
    this.#binding.add(binding);
    server.listen({ host: address, port, backlog: RAW_BACKLOG, reusePort: true });
  }

  #close(port: number, listener: Listener): void {
    const wasListening = listener.state === "listening";
    listener.state = "closed";
    this.#listeners.delete(port);
    if (wasListening) listener.server.close(); // one that is still binding closes itself
  }

  #count(state: Listener["state"]): number {
    return [...this.#listeners.values()].filter((listener) => listener.state === state).length;
  }
}

/** A label is never given out twice. */
function ownerOf({ sandboxId, tunnel }: TunnelWay): string {
  return `${sandboxId} ${tunnel.label}`;
}
