// The front of HTTP/2 (RFC 9113): takes connections whose ALPN chose h2, and makes each of their streams an exchange.
// Neither ORIGIN nor ALTSVC nor a push is ever sent, and extended CONNECT (RFC 8441) is not offered: browsers open their
// WebSockets over HTTP/1.1 then.
import type { Duplex } from "node:stream";
import { ClientConnection } from "./h2/client-connection.ts";
import type { ClientAddress, StreamPlace } from "./h2/place.ts";
import { hostReader } from "./head/host.ts";

export interface Http2FrontOptions extends Omit<StreamPlace, "readHost"> {
  /** Sandboxes' hosts are one label below it. In lower case. */
  readonly connectDomain: string;
}

/** Disposal cuts all connections. */
export class Http2Front implements Disposable {
  readonly #place: StreamPlace;
  readonly #connections = new Set<ClientConnection>();
  readonly #changes: Disposable;
  #isDraining = false;

  constructor(options: Http2FrontOptions) {
    this.#place = { ...options, readHost: hostReader(options.connectDomain) };
    this.#changes = options.watch.onChange((change) => {
      for (const connection of this.#connections) connection.cutRevoked(change);
    });
  }

  /** How many connections are open. */
  get size(): number {
    return this.#connections.size;
  }

  /** Takes a connection, from the first byte behind its handshake on. */
  serve(socket: Duplex, client: ClientAddress): void {
    const connection: ClientConnection = new ClientConnection(socket, client, this.#place, () => {
      this.#connections.delete(connection);
    });
    this.#connections.add(connection);
    if (this.#isDraining) connection.drain();
  }

  /** Tells all clients to go elsewhere; what is under way goes on to its end, and with the last of it each connection. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.drain();
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
    for (const connection of this.#connections) connection.destroy();
  }
}
