// The front of HTTP/1.1 and HTTP/1.0: takes connections whose TLS handshake is done.
import type { Duplex } from "node:stream";
import type { TableChange } from "@sallyport/dataplane/routes";
import type { GrantWatch } from "./exchange.ts";
import { concerns } from "./grant-change.ts";
import { FieldBlocks } from "./head/field-block.ts";
import { hostReader } from "./head/host.ts";
import { ClientConnection } from "./http1/client-connection.ts";
import type { Client, Http1Place } from "./http1/place.ts";
import { WebSockets } from "./websocket.ts";

export interface Http1FrontOptions extends Omit<Http1Place, "webSockets" | "readHost" | "fieldBlocks"> {
  /** Sandboxes' hosts are one label below it. In lower case. */
  readonly connectDomain: string;
  readonly watch: GrantWatch;
  /** A WebSocket outlives its token. False when unset: it is closed within a second. */
  readonly keepWebSockets?: boolean | undefined;
}

/** Disposal cuts all connections. */
export class Http1Front implements Disposable {
  readonly #place: Http1Place;
  readonly #watch: GrantWatch;
  readonly #webSockets: WebSockets;
  readonly #connections = new Set<ClientConnection>();
  readonly #changes: Disposable;
  #isDraining = false;

  constructor(options: Http1FrontOptions) {
    this.#watch = options.watch;
    this.#webSockets = new WebSockets(options);
    const readHost = hostReader(options.connectDomain);
    this.#place = { ...options, webSockets: this.#webSockets, readHost, fieldBlocks: new FieldBlocks() };
    this.#changes = options.watch.onChange((change) => this.#cutRevoked(change));
  }

  /** How many connections are open, WebSockets apart. */
  get size(): number {
    return this.#connections.size;
  }

  get webSockets(): number {
    return this.#webSockets.size;
  }

  /** Takes a connection, from the first byte behind its handshake on. */
  serve(stream: Duplex, client: Client): void {
    const connection: ClientConnection = new ClientConnection(stream, client, this.#place, () => {
      this.#connections.delete(connection);
    });
    this.#connections.add(connection);
    if (this.#isDraining) connection.drain();
  }

  /** Tells all clients to go elsewhere: idle connections close, others after the answer under way, WebSockets at once. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.drain();
    this.#webSockets.drain();
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
    for (const connection of this.#connections) connection.destroy();
    this.#webSockets[Symbol.dispose]();
  }

  /** A token that is only too old lets what it began come to its end; one that is revoked does not. */
  #cutRevoked(change: TableChange): void {
    for (const { exchange } of this.#connections) {
      const grant = exchange?.forward?.grant;
      if (grant === undefined || !concerns(change, grant)) continue;
      const problem = this.#watch.grantProblem(grant);
      if (problem !== undefined && problem !== "Expired" && problem !== "SandboxEnded") exchange?.revoke(problem);
    }
  }
}
