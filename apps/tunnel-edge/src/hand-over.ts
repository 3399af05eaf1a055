// Connections for hosts of the connect-proxy: handed over unopened, with the client's address in front, to one of its
// processes. The only place where this program dials something itself.
import type { Socket } from "node:net";
import { connect } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import { mapResets, relay } from "@sallyport/dataplane";
import { formatAlert } from "@sallyport/dataplane/client-hello";
import { formatProxyHeader } from "@sallyport/dataplane/proxy-v2";
import type { UnopenedConnection } from "@sallyport/edge";
import { RareWarning } from "@sallyport/edge";
import { KEEP_ALIVE_MS } from "./limits.ts";

export interface HandOverOptions {
  /** Paths of the sockets at which processes of the connect-proxy take connections. */
  readonly sockets: readonly string[];
  /** Told of each connection: whether somebody took it. */
  readonly onHandedOver: (isTaken: boolean) => void;
  readonly logger: Logger;
}

/** Disposal cuts what is handed over still. */
export class HandOver implements Disposable {
  readonly #options: HandOverOptions;
  readonly #stop = new AbortController();
  readonly #noProxy: RareWarning;
  #turn = 0;
  #open = 0;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#noProxy = new RareWarning(options.logger, "no process of the connect-proxy takes connections");
  }

  /** Connections that are handed over now. */
  get open(): number {
    return this.#open;
  }

  /** Never throws; nobody needs to wait for it. */
  take(connection: UnopenedConnection): void {
    this.#open += 1;
    void this.#relay(connection).finally(() => {
      this.#open -= 1;
    });
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #relay({ bytes, client, socket }: UnopenedConnection): Promise<void> {
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const proxy = await this.#dialAny(socket);
    this.#options.onHandedOver(proxy !== undefined);
    if (proxy === undefined) {
      socket.end(formatAlert("internal_error"), () => socket.destroy());
      return;
    }
    proxy.write(Buffer.concat([formatProxyHeader({ kind: "tcp", ...client }), bytes]));
    mapResets({ stream: socket }, { stream: proxy });
    await relay(socket, proxy, { signal: this.#stop.signal });
  }

  /** Each process in its turn; the next one where it is not there. */
  async #dialAny(client: Socket): Promise<Socket | undefined> {
    const { sockets } = this.#options;
    this.#turn = (this.#turn + 1) % sockets.length;
    for (let tries = 0; tries < sockets.length && !client.destroyed; tries += 1) {
      const path = sockets[(this.#turn + tries) % sockets.length] ?? "";
      try {
        return await dial(path);
      } catch (error) {
        this.#noProxy.tell({ err: error, path });
      }
    }
    return undefined;
  }
}

function dial(path: string): Promise<Socket> {
  const { promise, reject, resolve } = Promise.withResolvers<Socket>();
  const socket = connect({ path, allowHalfOpen: true });
  socket.once("error", reject); // what is thrown later is of no interest: "close" follows
  socket.once("connect", () => resolve(socket));
  socket.on("error", () => socket.destroy());
  return promise;
}
