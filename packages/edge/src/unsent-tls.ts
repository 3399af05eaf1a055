// What TLS says by itself to a client that does not read. Each KeyUpdate of a client is answered by one (RFC 8446, section
// 4.6.3), as is each try to renegotiate: no byte of it is anybody's to hold back, and Node keeps what the client does not take.
import type { TLSSocket } from "node:tls";
import { LOOK_AT_UNSENT_MS, MAX_UNSENT_TLS_BYTES } from "./edge-limits.ts";

/** Watches connections whose handshake is done, until they close; one that has too many such bytes is cut. */
export class UnsentTls {
  readonly #maxBytes: number;
  readonly #everyMs: number;
  readonly #sockets = new Set<TLSSocket>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { readonly everyMs?: number; readonly maxBytes?: number } = {}) {
    const { everyMs = LOOK_AT_UNSENT_MS, maxBytes = MAX_UNSENT_TLS_BYTES } = options;
    this.#everyMs = everyMs;
    this.#maxBytes = maxBytes;
  }

  watch(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#leave(socket));
    this.#timer ??= setInterval(() => this.#look(), this.#everyMs).unref();
  }

  #leave(socket: TLSSocket): void {
    this.#sockets.delete(socket);
    if (this.#sockets.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    for (const socket of this.#sockets) if (unsentBytes(socket) > this.#maxBytes) socket.destroy();
  }
}

/** Encrypted bytes that the connection below has not taken. Node shows them at the handle alone, as its own timeouts read them. */
function unsentBytes(socket: TLSSocket): number {
  const handle = Reflect.get(socket, "_handle") as { readonly writeQueueSize?: number } | null | undefined;
  return handle?.writeQueueSize ?? 0;
}
