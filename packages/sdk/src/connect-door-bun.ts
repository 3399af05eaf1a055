// Bun: its own fetch and WebSocket take certificates by connection.
import type { ConnectDoor, DoorOptions } from "./connect-door.ts";
import { signalOf } from "./connect-door.ts";

/** What Bun takes beyond the web's standard. */
interface BunTls {
  readonly tls?: { readonly ca: readonly string[] };
}

type BunWebSocket = new (url: URL, options: BunTls & { protocols: readonly string[]; headers: object }) => WebSocket;

/** See {@link ConnectDoor}. */
export function openBunDoor({ ca, closed }: DoorOptions): ConnectDoor {
  const tls: BunTls = ca === undefined ? {} : { tls: { ca } };
  const sockets = new Set<WebSocket>();
  const closeAll = () => {
    for (const socket of sockets) socket.close();
  };
  closed.addEventListener("abort", closeAll, { once: true });
  return {
    fetch: (url, init) => fetch(url, { ...init, ...tls, signal: signalOf(init, closed) }),
    webSocket(url, protocols, headers) {
      const socket = new (WebSocket as unknown as BunWebSocket)(url, { ...tls, protocols, headers });
      sockets.add(socket);
      socket.addEventListener("close", () => sockets.delete(socket), { once: true });
      return socket;
    },
    close: async () => {},
  };
}
